//! File, environment and flags together.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, FromArgMatches};
use focus_core::pair::{EndFrom, PairForm, Pointer, Preset, StartFrom, UuidFrom};
use focus_core::time::TimeUnit;

use super::*;

/// The settings of a file, an environment and a command line.
fn settings(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[&str],
) -> Result<Settings, Vec<Mistake>> {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let mut overrides = Overrides::of_environment(|name| environment.get(name).map(OsString::from));
    let command = Overrides::augment_args(clap::Command::new("focus").no_binary_name(true));
    let matches = command.try_get_matches_from(flags).expect("flags");
    overrides.update_from_arg_matches(&matches).expect("flags");
    let path = Path::new("focus.toml");
    let mut settings = Settings::default();
    let mut mistakes = file::apply(&mut settings, path, file);
    let in_file = settings.roots.clone();
    mistakes.extend(overrides.apply(&mut settings));
    keep_tables(&mut settings.roots, &in_file);
    finish(settings, mistakes, &|path| Ok(format!("mongodb://of-{}/\n", path.display())))
}

fn mistakes(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> String {
    let mistakes = settings(file, environment, flags).expect_err("a mistake");
    mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file_and_each_is_told() {
    let file = "\nsettle_ms = 1\n";
    let environment = [("FOCUS_SETTLE_MS", "2")];
    let of_default = settings("", &[], &[]).expect("good");
    assert_eq!((of_default.settle_ms, of_default.source("settle_ms")), (2_000, &Source::Default));
    let of_file = settings(file, &[], &[]).expect("good");
    assert_eq!(of_file.settle_ms, 1);
    assert_eq!(of_file.source("settle_ms").to_string(), "focus.toml, line 2, column 1");
    let of_environment = settings(file, &environment, &[]).expect("good");
    assert_eq!(of_environment.settle_ms, 2);
    assert_eq!(of_environment.source("settle_ms").to_string(), "FOCUS_SETTLE_MS");
    let of_flag = settings(file, &environment, &["--settle-ms", "3"]).expect("good");
    assert_eq!(of_flag.settle_ms, 3);
    assert_eq!(of_flag.source("settle_ms").to_string(), "--settle-ms");
}

#[test]
fn every_setting_has_a_variable_of_its_own() {
    for setting in SETTINGS {
        let value = match setting.kind {
            Kind::Number => "not a number",
            Kind::Choice(_) => "neither",
            Kind::Texts | Kind::Folders => "{",
            Kind::Table | Kind::Tables => "no JSON",
            Kind::Switch => "maybe",
            Kind::Text | Kind::Path => continue,
        };
        let told = mistakes("", &[(&setting.environment(), value)], &[]);
        let place = format!("{} ({}): ", setting.key, setting.environment());
        assert!(told.starts_with(&place) && told.contains("is wanted"), "{told}");
        assert!(!told.contains(value), "{told}");
    }
}

#[test]
fn lists_and_tables_are_json_in_the_environment() {
    let roots = r#"["/a", { "path": "/b", "time_unit": "ms", "time_zone": "Europe/Berlin" }]"#;
    let given =
        settings("", &[("FOCUS_ROOTS", roots), ("FOCUS_DATA_EXTENSIONS", r#"["raw"]"#)], &[])
            .expect("good");
    assert_eq!(given.roots[1].time_unit, Some(focus_core::time::TimeUnit::Millis));
    let zone = given.roots[1].time_zone.as_ref().and_then(|zone| zone.iana_name());
    assert_eq!(zone, Some("Europe/Berlin"));
    assert_eq!(given.data_extensions, ["raw"]);
    let told = mistakes("", &[("FOCUS_ROOTS", r#"[{ "pth": "/a" }]"#)], &[]);
    assert_eq!(told, "roots (FOCUS_ROOTS): the key \"pth\" is not known: did you mean \"path\"?\n");
}

#[test]
fn a_roots_exclude_replaces_the_overall_one_and_each_exclude_more_adds() {
    let hides = |given: &Settings, at: usize| -> Vec<&str> {
        let exclude = given.exclude_of(&given.roots[at]);
        let names = ["#recycle", "overall", "own", "more", "own_more"];
        names.into_iter().filter(|name| exclude.hides_path(name.as_bytes())).collect()
    };
    let roots =
        r#"[{"path": "/a"}, {"path": "/b", "exclude": ["own"], "exclude_more": ["own_more"]}]"#;
    let all = [("FOCUS_ROOTS", roots), ("FOCUS_EXCLUDE_MORE", r#"["more"]"#)];
    let given = settings("", &all, &[]).expect("good");
    assert_eq!(hides(&given, 0), ["#recycle", "more"]);
    assert_eq!(hides(&given, 1), ["own", "more", "own_more"]);
    let given = settings("exclude = [\"overall\"]\n", &all, &[]).expect("good");
    assert_eq!(hides(&given, 0), ["overall", "more"]);
    assert_eq!(hides(&given, 1), ["own", "more", "own_more"]);
    let given = settings("", &[("FOCUS_ROOTS", roots), ("FOCUS_EXCLUDE", "[]")], &[]);
    assert_eq!(hides(&given.expect("good"), 0), Vec::<&str>::new());
}

#[test]
fn a_preset_says_what_a_pair_is_and_each_of_its_keys_can_be_another() {
    let file = r#"
        data_extensions = ["raw"]
        roots = [
            "/plain",
            { path = "/sdr", preset = "sigmf" },
            { path = "/calls", preset = "trunk-recorder", time_unit = "ms", data_extensions = ["mp3"], uuid = "/id" },
            { path = "/own", sidecar_extension = "meta", start_time = "/a/0/t", end_time = { duration_s = "/len" }, deleted = "/gone" },
            { path = "/focus", preset = "focus" },
        ]
    "#;
    let given = settings(file, &[], &[]).expect("good");
    let form = |at: usize| given.form_of(&given.roots[at]);
    let raw = || PairForm { data_extensions: vec!["raw".to_owned()], ..PairForm::focus().clone() };
    let pointer = |text: &str| Pointer::new(text).expect("a pointer");
    assert_eq!((form(0), form(4)), (raw(), raw()));
    assert_eq!(form(1), PairForm::of(Preset::Sigmf));
    assert_eq!(
        form(2),
        PairForm {
            data_extensions: vec!["mp3".to_owned()],
            uuid: UuidFrom::Field(pointer("/id")),
            time_unit: Some(TimeUnit::Millis),
            ..PairForm::of(Preset::TrunkRecorder)
        }
    );
    assert_eq!(
        form(3),
        PairForm {
            sidecar_extension: "meta".to_owned(),
            start_time: StartFrom::Field(pointer("/a/0/t")),
            end_time: EndFrom::Duration(pointer("/len")),
            deleted: pointer("/gone"),
            ..raw()
        }
    );
    // What is shown can be given again.
    let roots = SETTINGS.iter().find(|setting| setting.key == "roots").expect("roots");
    let shown = (roots.shown)(&given).to_string();
    assert!(shown.contains(r#""end_time":{"duration_s":"/len"}"#), "{shown}");
    let again = settings("", &[("FOCUS_ROOTS", &shown)], &[]).expect("good");
    assert_eq!(again.roots, given.roots);
}

#[test]
fn a_mistake_in_what_a_pair_is_is_told_with_its_place() {
    let root = |keys: &str| mistakes(&format!("[[roots]]\npath = \"/a\"\n{keys}\n"), &[], &[]);
    for (keys, told) in [
        (
            "preset = \"sigmff\"",
            "line 3, column 10: roots: pairs: preset wants one of focus, sigmf, trunk-recorder",
        ),
        (
            "start_time = \"start\"",
            "line 3, column 14: roots: pairs: start_time wants \"sigmf\" or a JSON pointer: a JSON pointer begins with /, such as /start_time",
        ),
        (
            "uuid = \"/a~b\"",
            "line 3, column 8: roots: pairs: uuid wants \"path\" or a JSON pointer: in a JSON pointer, ~0",
        ),
        (
            "end_time = { duration = \"/x\" }",
            "the key \"duration\" is not known: did you mean \"duration_s\"?",
        ),
        (
            "end_time = { duration_s = \"x\" }",
            "end_time wants \"sigmf\", a JSON pointer or { duration_s",
        ),
        (
            "data_extensions = [\"json\"]",
            "roots: /a: \"json\" cannot be the extension of data files and of sidecars",
        ),
        (
            "sidecar_extension = \"dat\"",
            "roots: /a: \"dat\" cannot be the extension of data files and of sidecars",
        ),
        ("sidecar_extension = \".meta\"", "roots: /a: \".meta\" is no extension"),
        ("presett = \"sigmf\"", "the key \"presett\" is not known: did you mean \"preset\"?"),
    ] {
        assert!(root(keys).contains(told), "{keys}: {}", root(keys));
    }
}

#[test]
fn a_root_that_is_named_by_its_path_alone_keeps_the_table_of_the_file() {
    let file = "roots = [\"/a\", { path = \"/b\", preset = \"sigmf\" }]\n";
    let given = settings(file, &[], &["--root", "/b"]).expect("good");
    assert_eq!(given.roots.len(), 1);
    assert_eq!(given.roots[0].pairs.preset, Some(Preset::Sigmf));
    let given = settings(file, &[("FOCUS_ROOT", "/c:/b/")], &[]).expect("good");
    assert_eq!(given.roots[0].pairs.preset, None);
    assert_eq!(given.roots[1].pairs.preset, Some(Preset::Sigmf));
    // A table of the environment is the whole of what it says.
    let roots = r#"[{"path": "/b", "time_unit": "ms"}]"#;
    let given = settings(file, &[("FOCUS_ROOTS", roots)], &[]).expect("good");
    assert_eq!(given.roots[0].pairs.preset, None);
}

#[test]
fn a_glob_that_cannot_be_read_is_told_with_its_place() {
    let bracket = "a glob is wrong: \"[b\": a `[` has no `]`: add it, or write `\\[`\n";
    let told = mistakes("exclude = [\n  \"a\",\n  \"[b\",\n]\n", &[], &[]);
    assert_eq!(told, format!("focus.toml, line 1, column 11: exclude: {bracket}"));
    let told = mistakes("[[roots]]\npath = \"/a\"\nexclude_more = [\"[b\"]\n", &[], &[]);
    assert_eq!(told, format!("focus.toml, line 3, column 16: roots: {bracket}"));
    let told = mistakes("", &[("FOCUS_EXCLUDE_MORE", r#"["[b"]"#)], &[]);
    assert_eq!(told, format!("exclude_more (FOCUS_EXCLUDE_MORE): {bracket}"));
    let told = mistakes("", &[("FOCUS_ROOTS", r#"[{"path": "/a", "exclude": [""]}]"#)], &[]);
    assert_eq!(
        told,
        "roots (FOCUS_ROOTS): a glob is wrong: \"\": it matches nothing: write the name of a file or folder\n"
    );
    let told = mistakes("exclude = \"a\"\n", &[], &[]);
    assert!(told.starts_with("focus.toml, line 1, column 11: exclude: a list of texts is wanted"));
}

#[test]
fn several_roots_come_in_one_variable_and_in_flags() {
    let paths = |settings: &Settings| -> Vec<PathBuf> {
        settings.roots.iter().map(|root| root.path.clone()).collect()
    };
    let file = "roots = [\"/of-file\"]\n";
    let given = settings(file, &[("FOCUS_ROOT", "/a:/b")], &[]).expect("good");
    assert_eq!(paths(&given), [Path::new("/a"), Path::new("/b")]);
    let given = settings(file, &[("FOCUS_ROOT", "/a")], &["--root", "/c:d", "--root", "/e"]);
    assert_eq!(paths(&given.expect("good")), [Path::new("/c:d"), Path::new("/e")]);
}

#[test]
fn a_value_out_of_range_is_told_with_its_place() {
    assert_eq!(
        mistakes("lease_ms = 1\n", &[("FOCUS_SETTLE_MS", "3600001")], &["--listen", "nowhere"]),
        "listen (--listen): \"nowhere\" is not an address with a port, such as 127.0.0.1:8480\n\
         settle_ms (FOCUS_SETTLE_MS): 3600001 is not within 0 to 3600000\n\
         focus.toml, line 1, column 1: lease_ms: 1 is not within 2000 to 600000\n"
    );
}

#[test]
fn a_connection_string_counts_where_it_is_given_last() {
    let uri = |given: Result<Settings, Vec<Mistake>>| {
        given.expect("good").mongodb_uri.map(|uri| uri.expose().to_owned())
    };
    let both = "mongodb_uri = \"mongodb://direct/\"\nmongodb_uri_file = \"file\"\n";
    let file = "mongodb_uri_file = \"file\"\n";
    let direct = Some("mongodb://direct/".to_owned());
    assert_eq!(uri(settings(both, &[], &[])), direct);
    assert_eq!(uri(settings(file, &[], &[])), Some("mongodb://of-file/".to_owned()));
    assert_eq!(uri(settings(file, &[], &["--mongodb-uri", "mongodb://direct/"])), direct);
    let other = [("FOCUS_MONGODB_URI_FILE", "other")];
    assert_eq!(uri(settings(both, &other, &[])), Some("mongodb://of-other/".to_owned()));
    assert_eq!(uri(settings(both, &[("FOCUS_MONGODB_URI", "")], &[])), None);
}

#[test]
fn a_secret_is_hidden_wherever_settings_are_shown() {
    let given = settings("mongodb_uri = \"mongodb://u:hunter22@h/\"\n", &[], &[]).expect("good");
    let shown: Vec<_> = SETTINGS.iter().map(|setting| setting.value(&given)).collect();
    assert!(!format!("{given:?} {shown:?}").contains("hunter22"));
}

#[test]
fn defaults_are_within_their_own_rules() {
    let defaults = Settings::default();
    for setting in SETTINGS {
        assert_eq!(setting.check(&defaults), Vec::<String>::new(), "{}", setting.key);
        assert!(setting.help().ends_with('.'), "{}", setting.key);
    }
}

#[test]
fn a_folder_has_one_spelling_with_or_without_a_slash_at_its_end() {
    let given = settings("roots = [\"/data/a/\", \"/data/./b\"]\n", &[], &[]).expect("good");
    let paths: Vec<String> =
        given.roots.iter().map(|root| root.path.display().to_string()).collect();
    assert_eq!(paths, ["/data/a", "/data/b"]);
}

#[test]
fn a_file_for_the_connection_string_that_is_empty_is_a_mistake() {
    let path = std::env::temp_dir().join(format!("focus-empty-{}", uuid::Uuid::new_v4()));
    std::fs::write(&path, " \n").expect("written");
    let read = read_connection_string(&path);
    std::fs::remove_file(&path).expect("removed");
    assert!(read.is_err_and(|error| error.to_string().contains("it is empty")));
}

#[test]
fn a_mistake_in_alerts_is_told_with_its_place_and_shows_no_secret() {
    let channel = |more: &str| format!("[[alerts.channels]]\nname = \"ops\"\n{more}\n");
    let slack = channel("kind = \"slack\"\nurl = \"https://h/x\"");
    for (text, words) in [
        ("[alerts.rules.catalog_dwn]\nafter_ms = 1\n".to_owned(), "there is no such rule"),
        (format!("{slack}{slack}"), "two channels are called \"ops\""),
        (channel("kind = \"webhook\"\nurl = \"https://h/x\""), "a webhook needs secret"),
        (channel("kind = \"slack\""), "a slack needs url or url_file"),
        (channel("kind = \"pagerduty\""), "needs routing_key"),
        (channel("kind = \"slack\"\nurl = \"ftp://hidden\""), "begin with https:// or http://"),
        (
            channel("kind = \"webhook\"\nurl = \"https://h/x\"\nsecret = \"whsec_aGlkZGVuMTI=\""),
            "24 to 64 bytes",
        ),
        (channel("kind = \"email\"\nsmtp_url = \"smtp://h\""), "from and to"),
        (channel("kind = \"pigeon\"\nurl = \"https://h/x\""), "wanted"),
        (format!("{slack}rules = [\"x\"]\n"), "there is no such rule"),
        (format!("{slack}severity_at_least = \"bad\"\n"), "info, warning or critical"),
    ] {
        let told = mistakes(&text, &[], &[]);
        assert!(told.starts_with("focus.toml, line ") && told.contains(words), "{text}: {told}");
        assert!(!told.contains("hidden") && !told.contains("aGlkZGVu"), "{told}");
    }
}

#[test]
fn channels_and_rules_are_as_they_are_given_also_in_the_environment() {
    use focus_core::alert::{Rule, Severity};
    let text = r#"{"repeat_ms": 5, "channels": [{"name": "a", "kind": "slack", "url": "https://h/x",
        "rules": ["deletions_held"], "severity_at_least": "critical"}],
        "rules": {"deletions_held": {"severity": "warning", "after_ms": 7}}}"#;
    let given = settings("", &[("FOCUS_ALERTS", text)], &[]).expect("good");
    let held = given.alerts.thresholds(Rule::DeletionsHeld);
    assert_eq!((held.severity, held.after_ms, held.clear_after_ms), (Severity::Warning, 7, 60_000));
    assert_eq!(given.alerts.thresholds(Rule::CatalogDown), Rule::CatalogDown.defaults());
    let channel = &given.alerts.channels[0];
    assert!(channel.hears(Rule::DeletionsHeld, Severity::Critical));
    assert!(!channel.hears(Rule::DeletionsHeld, Severity::Warning));
    assert!(!channel.hears(Rule::CatalogDown, Severity::Critical));
    assert_eq!(given.alerts.secrets().collect::<Vec<_>>(), ["https://h/x"]);
}

#[test]
fn keys_of_the_metadata_come_from_file_or_environment_in_their_order() {
    let file = "indexed_metadata = ['sensor', '/site/code']";
    let texts = |settings: &Settings| -> Vec<String> {
        settings.indexed_metadata.iter().map(|key| key.as_str().to_owned()).collect()
    };
    assert_eq!(texts(&settings(file, &[], &[]).expect("good")), ["sensor", "/site/code"]);
    let environment = [("FOCUS_INDEXED_METADATA", r#"["gain"]"#)];
    assert_eq!(texts(&settings(file, &environment, &[]).expect("good")), ["gain"]);
    let told = mistakes("", &[("FOCUS_INDEXED_METADATA", r#"["a", "a"]"#)], &[]);
    assert_eq!(
        told,
        "indexed_metadata (FOCUS_INDEXED_METADATA): a key is wrong: \"a\": it is there twice: remove one\n"
    );
}
