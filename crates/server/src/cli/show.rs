//! `focus config show`: the settings that a command works with, and where each comes from.

use serde_json::{Map, Value, json};

use super::Ending;
use super::output::Output;
use focus_common::config::{SETTINGS, Settings, Source};

pub(super) fn show(settings: &Settings, out: &Output) -> Ending {
    let mut rows = Vec::new();
    let mut all = Map::new();
    for setting in SETTINGS {
        let value = setting.value(settings);
        let (source, from) = source(settings.source(setting.key));
        let place = match &from {
            None => source.to_owned(),
            Some(from) if source == "file" => from.clone(),
            Some(from) => format!("{source} {from}"),
        };
        let shown = match &value {
            Value::Null => setting.default(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        rows.push(vec![setting.key.to_owned(), shown, place]);
        let entry = json!({ "value": value, "source": source, "from": from });
        all.insert(setting.key.to_owned(), entry);
    }
    let file = settings.file.as_ref().map(|path| path.display().to_string());
    out.line(&format!("settings file: {}", file.as_deref().unwrap_or("none")));
    out.table(&["SETTING", "VALUE", "SOURCE"], rows);
    out.value(&json!({ "file": file, "settings": all }));
    Ending::InOrder
}

/// The kind of a source, and its place: file and line, variable or flag.
fn source(source: &Source) -> (&'static str, Option<String>) {
    match source {
        Source::Default => ("default", None),
        Source::File { path, line, .. } => ("file", Some(format!("{}:{line}", path.display()))),
        Source::Environment(name) => ("environment", Some(name.clone())),
        Source::Flag(name) => ("flag", Some(name.clone())),
    }
}
