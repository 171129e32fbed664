//! Mistakes that a user makes: one clear message each, and the exit code of the documents.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::site::{BINARY, LIMIT, Site};

fn focus(args: &[&str]) -> Output {
    let home = TempDir::new().expect("a folder");
    Command::new(BINARY)
        .args(args)
        .current_dir(home.path())
        .env("XDG_STATE_HOME", home.path())
        .output()
        .expect("the binary runs")
}

/// The exit code, and that the message names what it has to.
fn refuses(args: &[&str], code: i32, words: &[&str]) {
    let output = focus(args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?} does not say {word:?}: {text}");
    }
    // For programs the same, as JSON alone.
    let mut json = args.to_vec();
    json.push("--json");
    let output = focus(&json);
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON on stdout");
    assert_eq!(value["error"]["exit_code"], code, "{value}");
}

#[test]
fn every_command_takes_every_fixed_spelling() {
    let all = [
        "--config",
        "c.toml",
        "--root",
        "/r",
        "--mongodb-uri",
        "mongodb://h/",
        "--database",
        "d",
        "--collection",
        "c",
        "--layout",
        "collection",
        "--state-dir",
        "/s",
        "--listen",
        "h:1",
        "--settle-ms",
        "1",
        "--scan-interval-ms",
        "1000",
        "--json",
    ];
    for command in [
        &["init"][..],
        &["serve"],
        &["scan"],
        &["verify"],
        &["held"],
        &["approve"],
        &["forget"],
        &["status"],
        &["query"],
        &["unrecognised"],
        &["config", "check"],
        &["config", "show"],
        &["drill", "run"],
        &["drill", "recover"],
        &["drill", "list"],
        &["demo"],
        &["completions", "bash"],
        &["man"],
    ] {
        // A flag that is not known is told before the help is shown.
        let help = focus(&[command, &all, &["--help"]].concat());
        assert_eq!(help.status.code(), Some(0), "{command:?}: {help:?}");
        let value: Value = serde_json::from_slice(&help.stdout).expect("JSON");
        assert!(value["help"].as_str().is_some_and(|text| text.contains("Usage:")), "{value}");
    }
}

#[test]
fn wrong_use_is_refused_with_what_to_do() {
    refuses(&["serve"], 2, &["--root"]);
    refuses(&["serve", "--root", "/tmp", "--listen", "nowhere"], 2, &["listen", "127.0.0.1:8480"]);
    refuses(&["serve", "--nonsense"], 2, &["--nonsense"]);
    refuses(&["scan", "--root", "/tmp", "--mongodb-uri", "http://x"], 2, &["mongodb_uri"]);
    refuses(&["status"], 3, &["focus serve"]);
    refuses(&["init", "--root", "/does/not/exist"], 3, &["/does/not/exist"]);
    refuses(&["query", "--state-dir", "/nowhere", "--from", "yesterday"], 2, &["--from"]);
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line_and_key_and_without_its_value() {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("focus.toml");
    std::fs::write(&file, "database = \"x\"\nmongodb_url = \"mongodb://u:hunter22@h/\"\n")
        .expect("a file");
    let path = file.display().to_string();
    refuses(&["config", "check", "--config", &path], 2, &["line 2", "mongodb_url", "mongodb_uri"]);
    let output = focus(&["config", "check", "--config", &path]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter22"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("focus.toml");
    std::fs::write(&file, "listen = \"from-file\"\n").expect("a file");
    let listen = |env: Option<&str>, flag: Option<&str>| {
        let mut command = Command::new(BINARY);
        command.args(["config", "check", "--config"]).arg(&file);
        if let Some(value) = env {
            command.env("FOCUS_LISTEN", value);
        }
        if let Some(value) = flag {
            command.args(["--listen", value]);
        }
        String::from_utf8_lossy(&command.output().expect("runs").stderr).into_owned()
    };
    assert!(listen(None, None).contains("from-file"));
    assert!(listen(Some("from-env"), None).contains("from-env"));
    assert!(listen(Some("from-env"), Some("from-flag")).contains("from-flag"));
}

#[test]
fn an_absent_root_and_one_without_marker_are_told_apart() {
    let dir = TempDir::new().expect("a folder");
    let bare = dir.path().join("bare");
    std::fs::create_dir(&bare).expect("a folder");
    for (root, words) in [(dir.path().join("absent"), "is not there"), (bare, "focus init --root")]
    {
        let output = focus(&["scan", "--json", "--root", &root.display().to_string()]);
        assert_eq!(output.status.code(), Some(3));
        let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(value["problems"][0].as_str().is_some_and(|text| text.contains(words)), "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_goes_is_an_outage_of_storage_and_its_return_is_noticed() {
    let mut site = Site::new(&[]);
    site.land(30);
    site.focus.serve().await;
    site.focus.until_status("recordings", 30, LIMIT).await;
    let (here, away) = (site.tree.root().to_owned(), site.dir.path().join("away"));
    std::fs::rename(&here, &away).expect("unmounted");
    let gone = || async {
        let status = site.focus.status()?;
        let state = status["roots"][0]["state"].as_str().unwrap_or_default().to_owned();
        if state == "absent" { Ok(()) } else { Err(format!("{status:#}")) }
    };
    focus_testkit::wait::until("the root is absent", LIMIT, gone).await;
    assert_eq!(site.focus.status().map(|status| status["vanished"].clone()), Ok(0.into()));
    std::fs::rename(&away, &here).expect("mounted");
    site.land(1);
    site.focus.until_status("recordings", 31, LIMIT).await;
    site.focus.until_status("pending", 0, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_or_a_state_folder_in_use_is_refused() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    let second = site.focus.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another focus"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let root = site.tree.root().display().to_string();
    refuses(&["serve", "--root", &root, "--listen", &address], 2, &[&address, "--listen"]);
}

#[test]
fn the_demo_proves_itself_on_the_embedded_catalog() {
    let output = Command::new(BINARY)
        .args(["demo", "--json", "--count", "20"])
        .env("PATH", "/nonexistent")
        .output()
        .expect("the binary runs");
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0), "{value}");
    for (field, wanted) in [
        ("before", 20),
        ("landed", 20),
        ("after", 40),
        ("missing", 0),
        ("duplicated", 0),
        ("wrong", 0),
    ] {
        assert_eq!(value[field], wanted, "{value}");
    }
    assert_eq!(value["catalog"], "embedded");
    assert!(value["outage_ms"].is_u64() && value["converge_ms"].is_u64());
}

#[test]
fn a_demo_on_a_database_that_is_not_there_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    drop(taken);
    let demo = focus(&["demo", "--mongodb-uri", &format!("mongodb://{address}/")]);
    let words = String::from_utf8_lossy(&demo.stderr).into_owned();
    assert_ne!(demo.status.code(), Some(0), "{words}");
    assert!(words.contains(&address) && words.contains("Start it"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_proves_itself_on_a_given_database() {
    if crate::site::embedded_only("demo on a given database") {
        return;
    }
    let server = focus_testkit::mongo::MongoServer::start().await;
    let uri = server.uri();
    let output =
        tokio::task::spawn_blocking(move || focus(&["demo", "--json", "--mongodb-uri", &uri]))
            .await
            .expect("the demo ends");
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0), "{value}");
    assert_eq!(value["catalog"], "mongodb");
    let left = server.client().await.list_database_names().await.expect("names");
    assert!(!left.iter().any(|name| name.starts_with("focus_demo_")), "{left:?}");
}

#[test]
fn effective_settings_are_shown_with_where_each_comes_from_and_without_secrets() {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("focus.toml");
    let text = "database = \"db\"\n\nmongodb_uri = \"mongodb://u:hunter22@h/\"\nlisten = \"h:1\"\n";
    std::fs::write(&file, text).expect("a file");
    let shown = |json: &[&str]| {
        let output = Command::new(BINARY)
            .args(["config", "show", "--settle-ms", "17", "--config"])
            .arg(&file)
            .args(json)
            .env("FOCUS_LISTEN", "127.0.0.1:1")
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("hunter22"), "{text}");
        text
    };
    let value: Value = serde_json::from_str(&shown(&["--json"])).expect("JSON");
    let path = file.display().to_string();
    for (key, wanted, source, from) in [
        ("database", Value::from("db"), "file", Some(format!("{path}:1"))),
        ("mongodb_uri", "***".into(), "file", Some(format!("{path}:3"))),
        ("listen", "127.0.0.1:1".into(), "environment", Some("FOCUS_LISTEN".to_owned())),
        ("settle_ms", 17.into(), "flag", Some("--settle-ms".to_owned())),
        ("collection", "node4".into(), "default", None),
    ] {
        let setting = &value["settings"][key];
        assert_eq!((&setting["value"], &setting["source"]), (&wanted, &source.into()), "{key}");
        assert_eq!(setting["from"], Value::from(from), "{key}");
    }
    let all = focus_common::config::SETTINGS.len();
    assert_eq!(value["settings"].as_object().map(serde_json::Map::len), Some(all));
    let lines = shown(&[]);
    for (key, place) in [
        ("database", format!("{path}:1")),
        ("listen", "environment FOCUS_LISTEN".to_owned()),
        ("settle_ms", "flag --settle-ms".to_owned()),
        ("collection", "default".to_owned()),
    ] {
        let line = lines.lines().find(|line| line.trim_start().starts_with(&format!("{key} ")));
        assert!(line.is_some_and(|line| line.ends_with(&place)), "{key}: {lines}");
    }
}

#[test]
fn an_option_of_the_connection_string_that_cannot_be_used_is_named_at_the_start() {
    let site = Site::new(&[]);
    let root = site.tree.root().display().to_string();
    let state = site.state().display().to_string();
    let cases: [(&str, &[&str]); 4] = [
        ("compressors=zlib", &["compressors", "not built in"]),
        ("socketTimeoutMS=1", &["socketTimeoutMS", "not supported"]),
        ("replicaSett=rs0", &["replicasett is not known (a similar one is replicaset)"]),
        ("nonsense=1", &["the option nonsense is not known. Correct or remove it"]),
    ];
    for (option, words) in cases {
        let uri = format!("mongodb://anna:s3cret@127.0.0.1:9/?{option}");
        for command in [&["serve"][..], &["config", "check"]] {
            let args = ["--root", &root, "--state-dir", &state, "--mongodb-uri", &uri];
            let output = focus(&[command, &args].concat());
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert_eq!(output.status.code(), Some(2), "{option}: {said}");
            for word in words {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert!(!said.contains("s3cret") && !said.contains("similar name"), "{said}");
        }
    }
}

#[test]
fn help_shows_the_global_options_that_a_command_heeds_and_every_command_takes_all() {
    let help = |command: &[&str]| {
        let output = focus(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (command, shown, hidden) in [
        (&["serve"][..], &["--listen", "--settle-ms", "--mongodb-uri"][..], &[][..]),
        (&["held"], &["--root", "--state-dir", "--json"], &["--listen", "--layout", "--settle-ms"]),
        (&["completions"], &["--json"], &["--root", "--state-dir", "--config"]),
        (&["drill", "list"], &["--state-dir"], &["--mongodb-uri", "--root"]),
        (&["drill", "run"], &["--mongodb-uri", "--listen"], &[]),
    ] {
        let text = help(command);
        let (_, global) = text.split_once("Global options:").expect("a heading of their own");
        for flag in shown {
            assert!(global.contains(flag), "{command:?} {flag}: {text}");
        }
        for flag in hidden {
            assert!(!text.contains(flag), "{command:?} {flag}: {text}");
        }
    }
}

#[test]
fn the_manual_names_every_commands_options_the_environment_files_and_exit_codes() {
    let output = focus(&["man"]);
    let page = String::from_utf8_lossy(&output.stdout).replace("\\-", "-");
    for name in [
        "focus verify",
        "--repair",
        "--csv",
        "focus drill run",
        "--outage-for",
        "focus approve",
        "--dry-run",
        ".SH ENVIRONMENT",
        "FOCUS_CONFIG",
        ".SH FILES",
        "index.db",
        ".SH EXIT STATUS",
    ] {
        assert!(page.contains(name), "{name}: {page}");
    }
    for setting in focus_common::config::SETTINGS {
        assert!(page.contains(&setting.environment()), "{}", setting.key);
    }
    assert!(!page.contains("]("), "a link: {page}");
}

#[test]
fn without_a_command_the_help_is_shown_and_no_error_before_it() {
    let output = focus(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.starts_with("Keeps a catalog") && !said.contains("error:"), "{said}");
}

#[test]
fn programs_get_json_from_commands_whose_result_is_a_text() {
    for (command, name) in [
        (&["--version"][..], "version"),
        (&["--help"], "help"),
        (&["man"], "manual"),
        (&["completions", "bash"], "completions"),
    ] {
        let output = focus(&[command, &["--json"]].concat());
        let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(value[name].as_str().is_some_and(|text| !text.is_empty()), "{command:?}: {value}");
    }
}
