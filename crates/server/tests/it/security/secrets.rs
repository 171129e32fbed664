//! Nothing that a person or a program is shown holds a secret or moves a terminal.

use std::process::Command;

use focus_testkit::mongo::MongoServer;

use super::{PASSWORD, address, all_of, files_hold, server_file};
use crate::site::{BINARY, LIMIT, Site, embedded_only};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_person_is_shown_moves_the_terminal_or_runs_in_a_table() {
    let mut site = Site::new(&[]);
    let root = site.tree.root().to_owned();
    std::fs::write(root.join("esc.dat"), "data").expect("a file");
    let sidecar = r#"{"start_time":1,"uuid":"\u001b]52;c;eA==\u0007\u001b[2J\u202egnp"}"#;
    std::fs::write(root.join("esc.json"), sidecar).expect("a file");
    std::fs::write(root.join("=1+1|x.dat"), "data").expect("a file");
    std::fs::write(root.join("bad\u{1b}[31m.dat"), "data").expect("a file");
    site.focus.serve().await;
    site.focus.until_status("recordings", 1, LIMIT).await;
    site.focus.until_status("unrecognised", 2, LIMIT).await;
    let csv = site.dir.path().join("found.csv");
    let file = csv.display().to_string();
    for command in
        [&["query"][..], &["unrecognised"], &["status"], &["verify", "--csv", &file], &["scan"]]
    {
        let shown = all_of(&site.focus.run(command));
        let acts = shown.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}');
        assert!(!acts, "{command:?}: {shown:?}");
    }
    let shown = all_of(&site.focus.run(&["query"]));
    assert!(shown.contains("\\u{1b}]52"), "{shown}");
    let text = std::fs::read_to_string(csv).expect("a file");
    assert!(text.contains("\"'=1+1|x\""), "{text}");
    for cell in text.split([',', '\n']) {
        let cell = cell.trim_start_matches('"');
        assert!(!cell.starts_with(['=', '+', '@']), "{cell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_turns_up_nowhere() {
    let closed = format!("127.0.0.1:{}", focus_testkit::mongo::free_port());
    let absent = format!("mongodb://anna:{PASSWORD}@{closed}/?directConnection=true");
    password_is_hidden(&absent, "down").await;
    if embedded_only("a password that a database refuses") {
        return;
    }
    // A database that knows no such user.
    let server = MongoServer::start().await;
    let refusing = format!(
        "mongodb://anna:{PASSWORD}@127.0.0.1:{}/?directConnection=true&authSource=admin",
        server.port()
    );
    password_is_hidden(&refusing, "down").await;
}

async fn password_is_hidden(uri: &str, state: &str) {
    let mut site = Site::new(&[]);
    site.focus.by = [
        "env",
        "FOCUS_LOG=trace,mongodb=trace,hickory_resolver=trace",
        &format!("FOCUS_MONGODB_URI={uri}"),
    ]
    .map(str::to_owned)
    .to_vec();
    site.land(2);
    site.focus.serve().await;
    site.focus.until_status("catalog_state", state, LIMIT).await;
    site.focus.until_status("pending", 2, LIMIT).await;
    let mut said = vec![site.focus.log()];
    assert!(said[0].len() > 200, "a log at trace: {}", said[0]);
    for path in ["/readyz", "/api/v1/status", "/api/v1/recordings", "/api/v1/drift", "/nothing"] {
        said.push(format!("{:?}", site.focus.ask("GET", path, "", true)));
    }
    for (path, body) in [("/api/v1/scan", ""), ("/api/v1/verify", "{}")] {
        said.push(format!("{:?}", site.focus.ask("POST", path, body, true)));
    }
    let dir = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str], env: bool| {
        let root = site.tree.root().display().to_string();
        let mut command = Command::new(BINARY);
        command.args(args).args(["--root", &root]).current_dir(dir.path());
        command
            .env("FOCUS_LOG", "trace,mongodb=trace,hickory_resolver=trace")
            .env("XDG_STATE_HOME", dir.path());
        if env {
            command.env("FOCUS_MONGODB_URI", uri);
        }
        all_of(&command.output().expect("the binary runs"))
    };
    // These wait for the database.
    for args in [&["scan"][..], &["verify", "--json"], &["demo", "--json"]] {
        said.push(run(args, true));
    }
    let server = format!("http://{}", address(&site));
    let drill = ["drill", "run", "--server", &server, "--outage", "command", "--down", "true"];
    let more = ["--up", "true", "--count", "1", "--timeout", "3s", "--allow", "--json"];
    let files = ["--junit", "report.xml", "--html", "report.html", "--state-dir", "drilled"];
    said.push(run(&[&drill[..], &more, &files].concat(), true));
    assert!(
        dir.path().join("drilled/drill").is_dir(),
        "no drill was begun: {}",
        said[said.len() - 1]
    );
    assert!(!files_hold(dir.path(), PASSWORD), "a report of a drill holds the password");
    said.push(run(&["config", "check", "--json"], true));
    // On the command line, in its place and out of it.
    said.push(run(&["config", "check", "--mongodb-uri", uri], false));
    let typed = uri.replacen("mongodb:", "mongdb:", 1);
    let option = format!("{uri}&maxPoolSize=many&appname=x");
    for json in [&["--json"][..], &[]] {
        for args in [
            &["status"][..],
            &["query"],
            &["approve"],
            &["query", "--nonsense"],
            &["serve", "--listen", "nowhere"],
        ] {
            said.push(run(&[args, json].concat(), true));
        }
        for args in [
            &["config", "check", uri][..],
            &["config", "check", "--layout", uri],
            &["scan", "--mongodb-uri", &typed],
            &["scan", "--mongodb-uri", &option],
        ] {
            said.push(run(&[args, json].concat(), false));
        }
    }
    // In files: as it should be, and with mistakes beside it.
    for text in [
        format!("mongodb_uri = \"{uri}\"\nsettle = 1\n"),
        format!("mongodb_url = \"{uri}\"\n"),
        format!("mongodb_uri = \"{uri}\n"),
        format!("mongodb_uri = [\"{uri}\"]\n"),
        format!("\"{uri}\" = 1\n"),
        format!("layout = \"{uri}\"\n"),
    ] {
        std::fs::write(dir.path().join("focus.toml"), text).expect("a file");
        said.push(run(&["config", "check"], false));
    }
    std::fs::write(dir.path().join("uri"), uri).expect("a file");
    let file = format!("mongodb_uri_file = \"{}\"\n", dir.path().join("uri").display());
    std::fs::write(dir.path().join("focus.toml"), file).expect("a file");
    said.push(run(&["config", "check"], false));
    for text in &said {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    assert!(said.iter().any(|text| text.contains("***")), "nothing was hidden: is it said at all?");
    assert!(!files_hold(&site.state(), PASSWORD), "the password lies in the state folder");
    let token = server_file(&site)["token"].as_str().expect("a token").to_owned();
    assert!(!said.iter().any(|text| text.contains(&token)), "the token is shown");
    site.focus.stop();
    assert!(!files_hold(&site.state(), &token), "the token is left behind");
}

#[test]
fn a_panic_gives_no_secret_away() {
    // The same program once more, so that its stderr is all its own.
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this)
        .args(["security::secrets::panics_with_a_secret", "--exact", "--nocapture", "--ignored"])
        .env("FOCUS_TEST_PANIC", "1")
        .output()
        .expect("it runs");
    let said = all_of(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("a mistake in the program"), "{said}");
    assert!(said.contains("secrets.rs:"), "its place is told: {said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[test]
#[ignore = "panics: run by `a_panic_gives_no_secret_away`"]
fn panics_with_a_secret() {
    if std::env::var_os("FOCUS_TEST_PANIC").is_none() {
        return;
    }
    let uri = format!("mongodb://anna:{PASSWORD}@localhost/");
    focus_server::telemetry::hide(&focus_core::secret::Secrets::of_uri(&uri));
    focus_server::telemetry::tell_panics();
    panic!("the login {PASSWORD} for {uri} came to nothing");
}
