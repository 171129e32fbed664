//! The fate of each planted recording: decided from what was found of it, without input or output.

use mongodb::bson::{Bson, DateTime, Document};

use crate::plan::{Plan, PlannedRecording};
use crate::report::{Fate, LostReason};
use crate::server::{IndexedRecording, UnrecognisedRecording, UnrecognisedState};

/// What was found of one planted recording.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// Both its files are on storage.
    pub on_storage: bool,
    /// Bytes of its data file.
    pub size: Option<u64>,
    /// Its documents: those with its uuid, and those of this drill with its path.
    pub documents: Vec<&'a Document>,
    /// It was planted by the site's own command, which may have added metadata of its own.
    pub by_command: bool,
    /// What the server's index holds of it, or why the server could not be asked. Asked only where the
    /// recording has no document.
    pub row: Option<Result<Option<IndexedRecording>, String>>,
    /// What the server says of it, where it lists it as unrecognised.
    pub unrecognised: Option<UnrecognisedRecording>,
}

/// The fate of a recording, why it is lost, and what there is to say of it.
pub fn of(
    plan: &Plan,
    planned: &PlannedRecording,
    found: &Found<'_>,
) -> (Fate, Option<LostReason>, Option<String>) {
    match found.documents.as_slice() {
        [] => {
            let (reason, detail) = lost(found);
            (Fate::Lost, Some(reason), detail)
        }
        [document] => match differs(plan, planned, found, document) {
            None => (Fate::Catalogued, None, None),
            Some(differs) => (Fate::Stale, None, Some(differs)),
        },
        several => (Fate::Duplicated, None, Some(format!("{} documents", several.len()))),
    }
}

fn lost(found: &Found<'_>) -> (LostReason, Option<String>) {
    if !found.on_storage {
        return (LostReason::NotOnStorage, Some("its files are not there".to_owned()));
    }
    if let Some(UnrecognisedRecording { state, reason, .. }) = &found.unrecognised {
        let lost = match state {
            UnrecognisedState::CatalogRefused => LostReason::Refused,
            UnrecognisedState::Other(_) => LostReason::Unrecognised,
        };
        return (lost, Some(format!("{state}: {reason}")));
    }
    match &found.row {
        Some(Ok(Some(IndexedRecording { pending: true }))) => {
            (LostReason::Pending, Some("the server has not written it".to_owned()))
        }
        Some(Ok(Some(IndexedRecording { pending: false }))) => {
            (LostReason::Acknowledged, Some("the server holds it for catalogued".to_owned()))
        }
        Some(Err(words)) => {
            (LostReason::NotSeen, Some(format!("the server could not be asked: {words}")))
        }
        Some(Ok(None)) | None => (LostReason::NotSeen, None),
    }
}

/// The fields that are not as on storage.
fn differs(
    plan: &Plan,
    planned: &PlannedRecording,
    found: &Found<'_>,
    document: &Document,
) -> Option<String> {
    let date = |ms: i64| Bson::DateTime(DateTime::from_millis(ms));
    let mut wanted = vec![
        ("uuid", Bson::String(planned.uuid.clone())),
        ("start_time", date(planned.start_ms)),
        ("end_time", date(planned.end_ms)),
        ("deleted", Bson::Boolean(false)),
        ("recording_id", Bson::String(planned.recording_id.clone())),
        ("root", Bson::String(plan.root_id.clone())),
        ("path", Bson::String(planned.path.clone())),
    ];
    if let Some(size) = found.size.and_then(|size| i64::try_from(size).ok()) {
        wanted.push(("size", Bson::Int64(size)));
    }
    let mut wrong: Vec<String> = wanted
        .into_iter()
        .filter(|(field, value)| document.get(field) != Some(value))
        .map(|(field, value)| told(field, document.get(field), &value))
        .collect();
    let metadata = document.get_document("metadata").ok();
    let is_ours = |key: &str| planned.metadata.iter().any(|own| own == key);
    let only_ours = metadata.is_some_and(|metadata| {
        metadata.len() == planned.metadata.len() && metadata.keys().all(|key| is_ours(key))
    });
    let named = metadata
        .is_some_and(|metadata| metadata.get_str("focus_drill").is_ok_and(|id| id == plan.id));
    if !(named && (only_ours || found.by_command)) {
        wrong.push("metadata".to_owned());
    }
    (!wrong.is_empty()).then(|| wrong.join(", "))
}

fn told(field: &str, there: Option<&Bson>, wanted: &Bson) -> String {
    match there {
        Some(there) => format!("{field} is {there} instead of {wanted}"),
        None => format!("{field} is missing"),
    }
}

#[cfg(test)]
mod tests {
    use focus_core::pair::PairForm;
    use mongodb::bson::doc;

    use super::*;
    use crate::database::address::Address;
    use crate::outage::command::CommandUp;
    use crate::outage::restore::Restore;
    use crate::planting;

    fn plan() -> Plan {
        let planted_as =
            planting::Form { form: PairForm::focus(), root_id: "root-1", by_command: false };
        let (folder, planted) =
            planting::plan("d1", 1, &planted_as, 1_700_000_000_000).expect("a plan");
        Plan {
            format: Plan::FORMAT,
            id: "d1".into(),
            started_at: String::new(),
            root: "/r".into(),
            root_id: "root-1".into(),
            server: String::new(),
            database: Address {
                uri: String::new(),
                name: String::new(),
                collection: String::new(),
                probe_timeout_ms: 500,
            },
            restore: Restore::Command(CommandUp { up: "true".into() }),
            deadline_ms: 1,
            folder,
            planted,
        }
    }

    fn document(plan: &Plan) -> Document {
        let planned = &plan.planted[0];
        doc! {
            "uuid": &planned.uuid, "root": "root-1", "path": &planned.path,
            "recording_id": &planned.recording_id, "deleted": false, "size": 36_i64,
            "start_time": DateTime::from_millis(planned.start_ms),
            "end_time": DateTime::from_millis(planned.end_ms),
            "metadata": { "focus_drill": "d1" },
        }
    }

    fn found(documents: Vec<&Document>) -> Found<'_> {
        Found {
            on_storage: true,
            size: Some(36),
            documents,
            by_command: false,
            row: None,
            unrecognised: None,
        }
    }

    #[test]
    fn a_document_that_says_what_is_on_storage_is_catalogued() {
        let plan = plan();
        let document = document(&plan);
        let verdict = of(&plan, &plan.planted[0], &found(vec![&document]));
        assert_eq!(verdict, (Fate::Catalogued, None, None));
    }

    #[test]
    fn each_wrong_field_makes_it_stale_and_is_named() {
        let plan = plan();
        for (field, value) in [
            ("start_time", Bson::DateTime(DateTime::from_millis(1))),
            ("end_time", Bson::Null),
            ("deleted", Bson::Boolean(true)),
            ("size", Bson::Int64(1)),
            ("path", Bson::String("elsewhere".into())),
            ("root", Bson::Null),
            ("metadata", Bson::Document(doc! { "focus_drill": "d1", "more": 1 })),
            ("metadata", Bson::Document(doc! { "focus_drill": "another" })),
        ] {
            let mut document = document(&plan);
            document.insert(field, value);
            let (fate, _, detail) = of(&plan, &plan.planted[0], &found(vec![&document]));
            assert_eq!(fate, Fate::Stale, "{field}");
            assert!(detail.is_some_and(|detail| detail.contains(field)), "{field}");
        }
    }

    #[test]
    fn a_command_of_the_sites_own_may_add_metadata() {
        let plan = plan();
        let mut document = document(&plan);
        document.insert("metadata", doc! { "focus_drill": "d1", "more": 1 });
        let found = Found { by_command: true, ..found(vec![&document]) };
        assert_eq!(of(&plan, &plan.planted[0], &found).0, Fate::Catalogued);
    }

    #[test]
    fn two_documents_are_a_duplicate() {
        let plan = plan();
        let document = document(&plan);
        let found = found(vec![&document, &document]);
        assert_eq!(of(&plan, &plan.planted[0], &found).0, Fate::Duplicated);
    }

    #[test]
    fn every_lost_recording_has_its_reason() {
        let plan = plan();
        let none = found(Vec::new());
        let listed = |state| {
            Some(UnrecognisedRecording { path: String::new(), state, reason: "why".to_owned() })
        };
        let invalid = UnrecognisedState::Other("time_invalid".to_owned());
        let indexed = |pending| Some(Ok(Some(IndexedRecording { pending })));
        let cases = [
            (Found { on_storage: false, ..none.clone() }, LostReason::NotOnStorage),
            (none.clone(), LostReason::NotSeen),
            (Found { row: Some(Ok(None)), ..none.clone() }, LostReason::NotSeen),
            (Found { row: Some(Err("gone".into())), ..none.clone() }, LostReason::NotSeen),
            (Found { unrecognised: listed(invalid), ..none.clone() }, LostReason::Unrecognised),
            (
                Found { unrecognised: listed(UnrecognisedState::CatalogRefused), ..none.clone() },
                LostReason::Refused,
            ),
            (Found { row: indexed(true), ..none.clone() }, LostReason::Pending),
            (Found { row: indexed(false), ..none.clone() }, LostReason::Acknowledged),
        ];
        for (found, reason) in cases {
            let (fate, lost, _) = of(&plan, &plan.planted[0], &found);
            assert_eq!((fate, lost), (Fate::Lost, Some(reason)), "{found:?}");
        }
    }
}
