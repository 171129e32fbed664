//! `docs/configuration.md` has a table of every setting, and the table follows from the declaration.
//! `FOCUS_UPDATE_DOCS=1 cargo test -p focus-common --test documentation` writes it anew.

use std::fmt::Write;
use std::fs;

use focus_common::config::{SETTINGS, Setting};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const BEGIN: &str = "<!-- settings: begin -->\n";
const END: &str = "<!-- settings: end -->\n";

/// Set: the table is written and not compared.
const UPDATE: &str = "FOCUS_UPDATE_DOCS";

#[test]
fn the_table_of_settings_is_as_they_are_declared() {
    let document = fs::read_to_string(DOCUMENT).expect("docs/configuration.md");
    let (before, rest) = document.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var(UPDATE).is_ok_and(|value| !value.is_empty()) {
        fs::write(DOCUMENT, wanted).expect("written");
        return;
    }
    assert!(
        document == wanted,
        "docs/configuration.md is not as the settings are declared. Renew it:\n  {UPDATE}=1 cargo test -p focus-common --test documentation"
    );
}

fn table() -> String {
    let mut table =
        "| key | flag and environment | default | meaning |\n|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let given: Vec<String> = given_by(setting).iter().map(|name| format!("`{name}`")).collect();
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            setting.key,
            given.join(", "),
            default(setting),
            meaning(setting)
        )
        .expect("a text");
    }
    table
}

/// Flags and variables.
fn given_by(setting: &Setting) -> Vec<String> {
    let flag = setting.flag.map(|flag| format!("--{} {}", flag.name, flag.value_name));
    let several = setting.environment_of_several();
    flag.into_iter().chain(several).chain([setting.environment()]).collect()
}

fn default(setting: &Setting) -> String {
    let default = setting.default();
    match (default.parse::<u64>(), setting.key.ends_with("_ms")) {
        (Ok(ms), true) if ms >= 1_000 => format!("{default} ({})", duration(ms)),
        (Ok(_), _) => default,
        _ if default == "none" || default.contains(' ') && !default.contains('/') => default,
        _ => default
            .split(", else ")
            .map(|text| format!("`{text}`"))
            .collect::<Vec<_>>()
            .join(", else "),
    }
}

fn meaning(setting: &Setting) -> String {
    let mut words = setting.help();
    if let Some((least, most)) = setting.range {
        let (least, most) = if setting.key.ends_with("_ms") {
            (duration(least), duration(most))
        } else {
            (least.to_string(), most.to_string())
        };
        write!(words, " From {least} to {most}.").expect("a text");
    }
    words
}

/// Milliseconds in the largest unit that needs no fraction.
fn duration(ms: u64) -> String {
    for (unit, length_ms) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if ms > 0 && ms.is_multiple_of(length_ms) {
            return format!("{} {unit}", ms / length_ms);
        }
    }
    format!("{ms} ms")
}

#[test]
fn a_duration_has_the_largest_unit_that_needs_no_fraction() {
    assert_eq!(
        [0, 500, 2_000, 900_000, 86_400_000, 90_000].map(duration),
        ["0 ms", "500 ms", "2 s", "15 min", "1 d", "90 s"]
    );
}
