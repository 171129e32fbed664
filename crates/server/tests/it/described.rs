//! Every call is as its description says: cases made from `docs/openapi.json` by a program of other people.

use std::path::Path;
use std::process::Command;

use crate::alert_host::tools;
use crate::security::{address, token};
use crate::site::{BINARY, LIMIT, Site, long};
use focus_testkit::focus::Focus;

/// Cases at least.
const CASES: u64 = 5_000;

/// Cases made at random for each call.
const EXAMPLES: &str = "190";

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_as_its_description_says() {
    let program = tools().join("python/bin/schemathesis");
    if !long() {
        return println!(
            "left out, takes minutes (`cargo xtask test --all`): calls made from the description"
        );
    }
    assert!(program.is_file(), "`cargo xtask test --all` installs {}", program.display());
    let mut site = Site::new(&[]);
    let settings = site.dir.path().join("focus.toml");
    let table = "[fdsn]\nnetwork = \"XX\"\nstation = \"HILL\"\nchannel = \"HSF\"\n";
    std::fs::write(&settings, table).expect("settings");
    let settings = settings.display().to_string();
    let args = ["--settle-ms", "200", "--config", &settings];
    site.focus = Focus::new(BINARY, site.tree.root(), &site.state(), &args);
    site.land(40);
    std::fs::write(site.tree.root().join("alone.dat"), "data").expect("written");
    site.focus.serve().await;
    site.focus.until_status("recordings", 40, LIMIT).await;
    let (address, token) = (address(&site), token(&site));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(&program)
        .arg("--config-file")
        .arg(folder.join("tests/it/schemathesis.toml"))
        .arg("run")
        .arg(folder.join("../../docs/openapi.json"))
        .args([
            "--url",
            &format!("http://{address}"),
            "--header",
            &format!("Authorization: Bearer {token}"),
        ])
        // Events never end. A job that was cancelled can still be read: it is listed as what it was.
        .args(["--exclude-path", "/api/v1/events", "--exclude-checks", "use_after_free"])
        .args(["--workers", "1", "--seed", "1", "--max-examples", EXAMPLES, "--no-color"])
        .current_dir(site.dir.path())
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success(), "{words}\n{}", String::from_utf8_lossy(&made.stderr));
    let cases =
        words.lines().find_map(|line| line.trim().split_once(" generated, ")?.0.parse().ok());
    let cases: u64 = cases.unwrap_or_else(|| panic!("it says how many:\n{words}"));
    assert!(cases >= CASES, "{cases} cases:\n{words}");
    site.focus.until_status("catalog_state", "in_step", LIMIT).await;
}
