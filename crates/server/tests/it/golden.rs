//! What commands print for people, against files that hold what they printed when somebody last looked.
//! `FOCUS_UPDATE_GOLDEN=1 cargo test -p focus-server --test it golden` writes the files anew.

use std::fs;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::ingest::form;
use crate::site::{BINARY, LIMIT, Site};

/// Set: the files are written and not compared.
const UPDATE: &str = "FOCUS_UPDATE_GOLDEN";

/// Compares with `golden/NAME.txt`.
pub(crate) fn is_golden(name: &str, shown: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    let file = folder.join(format!("{name}.txt"));
    if std::env::var(UPDATE).is_ok_and(|value| !value.is_empty()) {
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(&file, shown).expect("written");
        return;
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        wanted == shown,
        "{} holds\n{wanted}\nand this was printed:\n{shown}\nIf that is right, {UPDATE}=1 writes it anew",
        file.display()
    );
}

/// What a command printed, and how it ended, without what differs from run to run.
pub(crate) fn printed(output: &Output, names: &[(&str, &str)]) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !errors.is_empty() {
        text.push_str(&format!("--- stderr\n{errors}"));
    }
    text.push_str(&format!("--- exit code {}\n", output.status.code().unwrap_or(-1)));
    for (value, name) in names {
        text = text.replace(value, name);
    }
    masked(&text)
}

/// Times of this run and milliseconds become words; times of the recordings, long ago, stay.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_old = rest.starts_with("2023") || rest.starts_with("2024");
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = &rest[digits..];
        let time = after.bytes().take_while(|b| b.is_ascii_digit() || b"-:T.Z".contains(b)).count();
        if digits == 4 && time >= 16 && after[..time].ends_with('Z') && !is_old {
            out.push_str("TIME");
            rest = &after[time..];
        } else if digits > 0 && after.starts_with(" ms") {
            out.push('N');
            rest = after;
        } else if digits > 0 {
            out.push_str(&rest[..digits]);
            rest = after;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// A site on the embedded catalog with a few good recordings and one of three bad kinds each.
async fn site() -> Site {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    // One after the other: what is listed comes in the order in which it was first seen.
    for count in 1..=6 {
        site.land(1);
        site.focus.until_status("recordings", count, LIMIT).await;
    }
    let root = site.tree.root();
    fs::write(root.join("alone.dat"), b"data").expect("written");
    site.focus.until_status("unrecognised", 1, LIMIT).await;
    fs::write(root.join("broken.json"), b"{\n  \"start_time\": }").expect("written");
    fs::write(root.join("broken.dat"), b"data").expect("written");
    site.focus.until_status("/unrecognised_by_state/sidecar_invalid", 1, LIMIT).await;
    fs::write(root.join("undated.json"), b"{\"gain\": 1}").expect("written");
    fs::write(root.join("undated.dat"), b"data").expect("written");
    site.focus.until_status("/unrecognised_by_state/time_invalid", 1, LIMIT).await;
    site.focus.until_status("unrecognised", 3, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_are_shown_of_a_site_is_what_it_was() {
    let mut site = site().await;
    let folder = site.dir.path().display().to_string();
    let marker = site.marker.clone();
    let names = [(folder.as_str(), "DIR"), (marker.as_str(), "ROOT-ID")];
    let shown = |site: &Site, command: &[&str]| printed(&site.focus.run(command), &names);
    is_golden("status", &shown(&site, &["status"]));
    is_golden("query", &shown(&site, &["query"]));
    is_golden("unrecognised", &shown(&site, &["unrecognised"]));
    is_golden("config-check", &shown(&site, &["config", "check"]));
    is_golden("verify", &shown(&site, &["verify"]));
    assert_eq!(site.focus.stop(), Some(0));
    let catalog = site.state().join("catalog/catalog.db");
    let catalog = rusqlite::Connection::open(catalog).expect("the catalog");
    for change in [
        "DELETE FROM recordings WHERE uuid = ?1",
        "UPDATE recordings SET size = 77, path = 'elsewhere.dat' WHERE uuid = ?1",
        "UPDATE recordings SET uuid = 'of-nobody', path = 'nothing.dat' WHERE uuid = ?1",
    ]
    .iter()
    .zip(&site.planted)
    {
        assert_eq!(catalog.execute(change.0, [&change.1.uuid]).expect("changed"), 1);
    }
    drop(catalog);
    is_golden("verify-drift", &shown(&site, &["verify"]));
    fs::rename(site.tree.root(), site.dir.path().join("away")).expect("moved");
    is_golden("config-check-root-away", &shown(&site, &["config", "check"]));
    is_golden("verify-root-away", &shown(&site, &["verify"]));
}

#[test]
fn what_people_are_told_of_their_mistakes_is_what_it_was() {
    let home = TempDir::new().expect("a folder");
    let folder = home.path().display().to_string();
    let settings = home.path().join("mistaken.toml");
    fs::write(&settings, "database = \"focus\"\ncolection = \"node4\"\n").expect("written");
    let config = settings.display().to_string();
    let missing = home.path().join("missing").display().to_string();
    let cases: [(&str, &[&str]); 7] = [
        ("no-root", &["serve"]),
        ("root-away", &["init", "--root", &missing]),
        ("unknown-key", &["status", "--config", &config]),
        ("unknown-layout", &["status", "--layout", "flat"]),
        ("no-connection-string", &["scan", "--root", &missing, "--mongodb-uri", "localhost"]),
        ("no-time", &["query", "--from", "yesterday"]),
        ("unknown-command", &["sevre"]),
    ];
    let mut shown = String::new();
    for (name, args) in cases {
        let output = std::process::Command::new(BINARY)
            .args(args)
            .current_dir(home.path())
            .env("XDG_STATE_HOME", home.path())
            .output()
            .expect("the binary runs");
        let words = args.join(" ").replace(&folder, "DIR");
        shown.push_str(&format!("=== {name}: focus {words}\n"));
        shown.push_str(&printed(&output, &[(folder.as_str(), "DIR")]));
    }
    is_golden("mistakes", &shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_are_told_who_hand_recordings_over_is_what_it_was() {
    let mut site = form::site("");
    let folder = site.dir.path().join("outside");
    fs::create_dir_all(&folder).expect("a folder");
    let file = |name: &str| folder.join(name).display().to_string();
    let (data, sidecar) = (file("r1.dat"), file("r1.json"));
    fs::write(&data, [7; 1_500]).expect("written");
    fs::write(&sidecar, form::sidecar("first").to_string()).expect("written");
    fs::write(file("broken.json"), "{ \"uuid\": ").expect("written");
    let outside = site.dir.path().display().to_string();
    let mut shown = String::new();
    let mut put = |site: &Site, name: &str, more: &[&str]| {
        let output = site.focus.run(&[&["put", &data], more].concat());
        let printed = printed(&output, &[(outside.as_str(), "DIR")]);
        // Whether the catalog has it yet is a matter of milliseconds.
        let printed = printed.replace(", pending,", ", catalogued,");
        shown.push_str(&format!("=== {name}\n{printed}"));
    };
    put(&site, "no-server", &[]);
    site.focus.serve().await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    put(&site, "taken", &["--path", "2026/05/r1"]);
    put(&site, "again", &["--path", "2026/05/r1"]);
    put(&site, "uuid-taken", &["--path", "other"]);
    put(&site, "path-outside", &["--path", "../r1"]);
    put(&site, "sidecar-broken", &["--path", "r2", "--sidecar", &file("broken.json")]);
    put(&site, "sidecar-missing", &["--sidecar", &file("nothing.json")]);
    is_golden("put", &shown);
}

#[test]
fn a_mask_hides_what_differs_and_nothing_else() {
    let text = "at 2026-11-25T02:10:39.745Z, 12 of 40 in 345 ms, from 2023-11-14T22:13:20.000Z";
    let wanted = "at TIME, 12 of 40 in N ms, from 2023-11-14T22:13:20.000Z";
    assert_eq!(masked(text), wanted);
}
