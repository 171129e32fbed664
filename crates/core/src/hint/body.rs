//! The body of a message with hints, in each of its forms: paths as JSON or as lines, event notifications of S3, and
//! CloudEvents 1.0. One parser serves every source.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::json::JsonError;
use crate::json::skim::Skim;

/// The hints of one message, in little memory: 1 MiB of text can hold half a million of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// All paths, one after the other.
    bytes: Vec<u8>,
    ends: Vec<PathEnd>,
    roots: Vec<String>,
    /// Things that should have named a path, and do not.
    pub nameless: u64,
}

/// Where a path ends, and its root by its number in the list, from 1; 0: none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PathEnd {
    at: u32,
    root: u32,
}

impl Hints {
    /// How many paths are named.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// None is named.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each path, and the root that it is in, where one is named.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&str>)> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let at = end.at as usize;
            let path = self.bytes.get(begin..at).unwrap_or_default();
            begin = at;
            let root = (end.root as usize).checked_sub(1).and_then(|root| self.roots.get(root));
            (path, root.map(String::as_str))
        })
    }

    fn push(&mut self, path: &[u8]) {
        if path.is_empty() {
            self.nameless += 1;
            return;
        }
        self.bytes.extend_from_slice(path);
        // A body that does not fit into 4 GiB is refused by its size long before.
        let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.ends.push(PathEnd { at, root: 0 });
    }

    /// The paths from this one on are in that root.
    fn in_root(&mut self, from: usize, root: String) {
        if from >= self.ends.len() {
            return;
        }
        if self.roots.last() != Some(&root) {
            self.roots.push(root);
        }
        let number = u32::try_from(self.roots.len()).unwrap_or(0);
        self.ends[from..].iter_mut().for_each(|end| end.root = number);
    }
}

/// What comes with a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// The media type that the sender names.
    pub content_type: Option<&'a str>,
    /// The attributes of a CloudEvent whose data the body is.
    pub event: Option<BinaryEvent<'a>>,
}

/// The attributes of a CloudEvent in binary mode: headers or properties of the message.
#[derive(Clone, Copy, Debug, Default)]
pub struct BinaryEvent<'a> {
    /// `specversion`.
    pub version: &'a str,
    /// `subject`, percent-encoded.
    pub subject: Option<&'a str>,
}

/// Which form a media type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON of any kind.
    Json,
    /// Lines of text.
    Lines,
    /// It is not said: `{` or `[` begins JSON, everything else is lines.
    Untold,
    /// Something else, which holds no hints.
    Other,
}

/// Why a body holds no hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyProblem {
    /// It should be JSON, and is not.
    #[error("the body is not JSON: {0}")]
    Json(JsonError),
    /// No path is in it.
    #[error(
        "the body names no path: send {{\"paths\": [\"folder/recording.dat\"]}}, one path a line as text/plain, an event notification of S3, or a CloudEvent"
    )]
    NoHint,
}

impl From<JsonError> for BodyProblem {
    fn from(error: JsonError) -> BodyProblem {
        BodyProblem::Json(error)
    }
}

/// The form of a body with this media type.
pub fn form(content_type: Option<&str>) -> Form {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.as_str() {
        // What senders put where they say nothing.
        "" | "application/octet-stream" => Form::Untold,
        "application/json" | "text/json" => Form::Json,
        "text/plain" => Form::Lines,
        other if other.ends_with("+json") => Form::Json,
        _ => Form::Other,
    }
}

/// The version of CloudEvents that is understood.
const EVENT_VERSION: &str = "1.0";

/// The hints of a message.
///
/// # Errors
/// It holds no hint in any form.
pub fn parse(body: &[u8], envelope: Envelope<'_>) -> Result<Hints, BodyProblem> {
    let mut hints = Hints::default();
    let event = envelope.event.filter(|event| event.version == EVENT_VERSION);
    let form = form(envelope.content_type);
    if let Some(event) = event {
        if let Some(subject) = event.subject {
            hints.push(&Cow::from(percent_decode_str(subject)));
        }
        if form != Form::Other && is_json(body, form) {
            let first = hints.len();
            let mut reader = Reader { hints, path: None };
            let read = reader.all(body);
            hints = reader.hints;
            // The subject is enough: what else the data of an event are is its sender's own affair.
            if read.is_ok() {
                push_other(&mut hints, first, reader.path);
            }
        }
    } else if is_json(body, form) {
        let mut reader = Reader { hints, path: None };
        reader.all(body)?;
        hints = reader.hints;
    } else {
        lines(body, &mut hints);
    }
    if hints.is_empty() { Err(BodyProblem::NoHint) } else { Ok(hints) }
}

fn is_json(body: &[u8], form: Form) -> bool {
    let first = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start().first();
    let begins = matches!(first, Some(b'{' | b'['));
    form == Form::Json || form != Form::Lines && begins
}

fn lines(body: &[u8], hints: &mut Hints) {
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            hints.push(line);
        }
    }
}

/// Adds the path of an event's data, where its subject has not named the same.
fn push_other(hints: &mut Hints, first: usize, path: Option<String>) {
    let Some(path) = path else { return };
    if !hints.iter().skip(first.saturating_sub(1)).any(|(known, _)| known == path.as_bytes()) {
        hints.push(path.as_bytes());
    }
}

/// Reads JSON, and gathers the paths in it.
struct Reader {
    hints: Hints,
    /// The field `path` of the object that was read last.
    path: Option<String>,
}

impl Reader {
    fn all(&mut self, body: &[u8]) -> Result<(), JsonError> {
        let mut skim = Skim::new(body)?;
        if skim.peek() == Some(b'[') {
            skim.array(&mut |skim| self.message(skim))?;
        } else {
            self.message(&mut skim)?;
        }
        skim.end()
    }

    /// One object: paths, a notification of S3, or a CloudEvent.
    fn message(&mut self, skim: &mut Skim<'_>) -> Result<(), JsonError> {
        let first = self.hints.len();
        let nameless = self.hints.nameless;
        let (mut version, mut subject, mut data_path) = (None, None, None);
        let mut root = None;
        self.path = None;
        skim.object(&mut |skim, key| {
            match key {
                "specversion" => version = skim.text()?,
                "subject" => subject = skim.text()?,
                "data" => {
                    let mut path = None;
                    skim.object(&mut |skim, key| match key {
                        "path" => skim.text().map(|text| path = text),
                        _ => skim.skip(),
                    })?;
                    data_path = path;
                }
                "root" => root = skim.text()?,
                "path" => self.path = skim.text()?,
                "paths" => self.paths(skim)?,
                "Records" => self.records(skim)?,
                _ => skim.skip()?,
            }
            Ok(())
        })?;
        if version.as_deref() == Some(EVENT_VERSION) {
            let own = self.hints.len();
            if let Some(subject) = subject {
                self.hints.push(subject.as_bytes());
            }
            push_other(&mut self.hints, own + 1, data_path);
        }
        if let Some(root) = root {
            self.hints.in_root(first, root);
        }
        let is_nameless = self.hints.len() == first && self.path.is_none();
        if is_nameless && self.hints.nameless == nameless {
            self.hints.nameless += 1;
        }
        Ok(())
    }

    fn paths(&mut self, skim: &mut Skim<'_>) -> Result<(), JsonError> {
        skim.array(&mut |skim| {
            match skim.text()? {
                Some(path) => self.hints.push(path.as_bytes()),
                None => self.hints.nameless += 1,
            }
            Ok(())
        })
    }

    /// The records of a notification of S3.
    fn records(&mut self, skim: &mut Skim<'_>) -> Result<(), JsonError> {
        skim.array(&mut |skim| {
            let mut key = None;
            skim.object(&mut |skim, name| match name {
                "s3" => skim.object(&mut |skim, name| match name {
                    "object" => skim.object(&mut |skim, name| match name {
                        "key" => skim.text().map(|text| key = text),
                        _ => skim.skip(),
                    }),
                    _ => skim.skip(),
                }),
                _ => skim.skip(),
            })?;
            // S3 writes keys as forms of web pages write values.
            let spaced = key.unwrap_or_default().replace('+', " ");
            self.hints.push(&Cow::from(percent_decode_str(&spaced)));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hints(body: &str, envelope: Envelope<'_>) -> Result<Vec<String>, BodyProblem> {
        let hints = parse(body.as_bytes(), envelope)?;
        let shown = hints.iter().map(|(path, root)| {
            let root = root.map_or_else(String::new, |root| format!("{root}: "));
            format!("{root}{}", String::from_utf8_lossy(path))
        });
        Ok(shown.collect())
    }

    fn untold(body: &str) -> Vec<String> {
        hints(body, Envelope::default()).expect("hints")
    }

    fn typed(content_type: &'static str) -> Envelope<'static> {
        Envelope { content_type: Some(content_type), event: None }
    }

    #[test]
    fn paths_come_as_json_or_as_lines() {
        assert_eq!(untold(r#"{"paths": ["a/b.dat", "/c d.json"]}"#), ["a/b.dat", "/c d.json"]);
        let both = ["/data: a", "/data: b"];
        assert_eq!(untold(r#"{"root": "/data", "paths": ["a", "b"]}"#), both);
        assert_eq!(untold(r#" {"paths": ["a", "b"], "more": {"x": [1]}, "root": "/data"} "#), both);
        assert_eq!(untold("a/b.dat\r\n\n c.json \nd"), ["a/b.dat", " c.json ", "d"]);
        assert_eq!(hints("{a}\n[b]", typed("text/plain; charset=utf-8")).unwrap(), ["{a}", "[b]"]);
        assert_eq!(
            parse(b"\xff.dat", Envelope::default()).unwrap().iter().next(),
            Some((&b"\xff.dat"[..], None))
        );
        assert_eq!(hints("a.dat", typed("application/octet-stream")).unwrap(), ["a.dat"]);
    }

    #[test]
    fn keys_of_s3_are_decoded() {
        let body = r#"{"EventName": "s3:ObjectCreated:Put", "Key": "bucket/x", "Records": [
            {"eventVersion": "2.0", "s3": {"bucket": {"name": "bucket"},
             "object": {"size": 5, "key": "2024%2F05/a+b%2Bc%C3%BC.dat"}}},
            {"s3": {"object": {"key": "d.json"}}}, {"s3": {}}]}"#;
        assert_eq!(untold(body), ["2024/05/a b+c\u{fc}.dat", "d.json"]);
        assert_eq!(parse(body.as_bytes(), Envelope::default()).unwrap().nameless, 1);
    }

    #[test]
    fn cloud_events_name_their_path_in_subject_or_data() {
        let event = |rest: &str| {
            format!(r#"{{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"{rest}}}"#)
        };
        assert_eq!(untold(&event(r#", "subject": "a%20.dat""#)), ["a%20.dat"]);
        assert_eq!(untold(&event(r#", "data": {"n": 1, "path": "b.dat"}"#)), ["b.dat"]);
        let both = event(r#", "data": {"path": "b.dat"}, "subject": "b.dat""#);
        assert_eq!(untold(&both), ["b.dat"]);
        let batch = format!("[{both}, {}, {{}}, 5]", event(r#", "subject": "c.dat""#));
        assert_eq!(untold(&batch), ["b.dat", "c.dat"]);
        assert_eq!(hints(&batch, typed("application/cloudevents-batch+json")).unwrap().len(), 2);
        assert_eq!(parse(batch.as_bytes(), Envelope::default()).unwrap().nameless, 2);
    }

    #[test]
    fn a_binary_event_has_its_subject_encoded_beside_the_body() {
        let event = |subject| Some(BinaryEvent { version: "1.0", subject });
        let json = |event| Envelope { content_type: Some("application/json"), event };
        assert_eq!(hints("", json(event(Some("a%20%C3%BC.dat")))).unwrap(), ["a \u{fc}.dat"]);
        assert_eq!(hints(r#"{"path": "b.dat"}"#, json(event(None))).unwrap(), ["b.dat"]);
        let both = hints(r#"{"path": "b.dat"}"#, json(event(Some("a.dat")))).unwrap();
        assert_eq!(both, ["a.dat", "b.dat"]);
        assert_eq!(hints(r#"{"path": "a.dat"}"#, json(event(Some("a.dat")))).unwrap(), ["a.dat"]);
        let other = Envelope { content_type: Some("image/png"), event: event(Some("a.dat")) };
        assert_eq!(hints("{\"path\": 1", other).unwrap(), ["a.dat"]);
        // Without the attributes of an event, `path` is no form.
        assert_eq!(hints(r#"{"path": "b.dat"}"#, json(None)), Err(BodyProblem::NoHint));
    }

    #[test]
    fn a_body_without_a_path_holds_no_hint() {
        for none in [
            "",
            "\n\r\n",
            "{}",
            "[]",
            "[\"a.dat\"]",
            r#"{"paths": []}"#,
            r#"{"paths": [1, null, ""]}"#,
            r#"{"paths": "a.dat"}"#,
            r#"{"Records": [{"s3": {"object": {"key": 5}}}]}"#,
            r#"{"specversion": "0.3", "subject": "a.dat"}"#,
            r#"{"subject": "a.dat"}"#,
        ] {
            assert_eq!(hints(none, Envelope::default()), Err(BodyProblem::NoHint), "{none}");
        }
        for broken in ["{", r#"{"paths": ["a.dat"]} x"#, "{\"paths\": [\"\u{1}\"]}"] {
            let problem = hints(broken, Envelope::default());
            assert!(matches!(problem, Err(BodyProblem::Json(_))), "{broken}: {problem:?}");
        }
        assert!(matches!(hints("a.dat", typed("application/json")), Err(BodyProblem::Json(_))));
    }

    #[test]
    fn media_types_stand_for_forms() {
        for (kind, wanted) in [
            (None, Form::Untold),
            (Some(""), Form::Untold),
            (Some("Application/JSON; charset=utf-8"), Form::Json),
            (Some("application/cloudevents+json"), Form::Json),
            (Some("text/plain"), Form::Lines),
            (Some("application/xml"), Form::Other),
        ] {
            assert_eq!(form(kind), wanted, "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn paths_come_out_as_they_were_written(
            paths in prop::collection::vec("\\PC{1,12}", 1..20),
            root in proptest::option::of("\\PC{0,8}"),
        ) {
            let body = serde_json::json!({ "paths": paths, "root": root }).to_string();
            let hints = parse(body.as_bytes(), Envelope::default()).expect("hints");
            let read: Vec<_> = hints.iter().collect();
            let wanted: Vec<_> =
                paths.iter().map(|path| (path.as_bytes(), root.as_deref())).collect();
            prop_assert_eq!(read, wanted);
            let lines: Vec<&String> = paths.iter().collect();
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let hints = parse(text.as_bytes(), typed("text/plain")).expect("hints");
            prop_assert!(hints.iter().map(|(path, _)| path).eq(paths.iter().map(String::as_bytes)));
        }
    }
}
