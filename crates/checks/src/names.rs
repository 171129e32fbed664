//! Names: any bytes that a file system may return.

use focus_core::look::{DataSeen, FileIdentity, FileStat, Look, SidecarSeen};
use focus_core::name::{self, NAME_BYTES_MAX};
use focus_core::pair::PairForm;
use focus_core::recording::{Place, show_bytes, shown_bytes};
use focus_core::settle::{Closed, Conclusion, Rules, Sight, judge};
use focus_core::state::State;
use focus_storage::Pair;

/// Checks one name. The folder follows after the first NUL.
pub fn names(bytes: &[u8]) {
    let shown = show_bytes(bytes);
    assert_eq!(shown_bytes(&shown), bytes, "{shown} looks like another name");
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let name = parts.next().unwrap_or_default();
    let folder = parts.next().unwrap_or_default();
    let data_extensions = vec!["dat".to_owned(), "x".to_owned()];
    let pair = Pair::of(PairForm { data_extensions, ..PairForm::focus().clone() });
    if let Some(part) = pair.part(name) {
        let extension = &name[part.stem.len()..];
        let extension = extension.to_ascii_lowercase();
        assert!([&b".dat"[..], b".x", b".json"].contains(&&extension[..]), "{shown}");
        place(part.stem, folder);
    }
    place(name, folder);
}

fn place(stem: &[u8], folder: &[u8]) {
    let valid = std::str::from_utf8(stem).ok().filter(|text| {
        !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
    });
    match name::recording_id(stem) {
        Ok(id) => assert_eq!(Some(id), valid),
        Err(fault) => {
            assert_eq!((fault.state, valid), (State::NameInvalid, None));
            assert!(fault.reason.len() < 1_024, "a reason of {} bytes", fault.reason.len());
            assert!(!fault.reason.chars().any(char::is_control), "{:?}", fault.reason);
        }
    }
    let place = Place { folder: folder.to_vec(), stem: stem.to_vec() };
    let stat = FileStat { size: 1, mtime_ns: 1 };
    let look = Look {
        data: Some(DataSeen { extension: "dat".to_owned(), stat }),
        sidecar: Some(SidecarSeen {
            stat,
            identity: FileIdentity::default(),
            bytes: Some(br#"{"start_time":1}"#.to_vec()),
        }),
        ..Look::default()
    };
    let rules = Rules { root: "root", form: PairForm::focus(), settle_ms: 0 };
    let closed = Closed { data: true, sidecar: true };
    let judged = judge(&place, &Sight::default(), &look, closed, rules, 1);
    let folder = std::str::from_utf8(folder);
    match (judged.conclusion, valid, folder) {
        (Conclusion::Settled(recording), Some(id), Ok(folder)) => {
            assert_eq!((recording.uuid.as_str(), recording.recording_id.as_str()), (id, id));
            let slash = if folder.is_empty() { "" } else { "/" };
            assert_eq!(recording.path, format!("{folder}{slash}{id}.dat"));
        }
        (Conclusion::Unrecognised(fault), valid, folder) => {
            assert_eq!(fault.state, State::NameInvalid);
            assert!(valid.is_none() || folder.is_err(), "a good name is refused");
        }
        (other, _, _) => panic!("{other:?}"),
    }
}
