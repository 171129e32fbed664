//! The index file with damage anywhere: it is read, or refused, or kept aside and made anew.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use focus_core::batch::Pick;
use focus_core::look::{DataSeen, FileIdentity, FileStat, Look, SidecarSeen};
use focus_core::pair::PairForm;
use focus_core::recording::Place;
use focus_core::settle::{Closed, Rules, Sight, judge};
use focus_index::{Index, IndexError, Listing, Observation};

/// Bytes changed in one file at most.
const CHANGES_MAX: usize = 32;

/// Checks one damaged file. Each three bytes of the input are a place and the byte that is put
/// there. One or two bytes that remain at the end say where the file ends.
pub fn index_file(bytes: &[u8]) {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    let sound = SOUND.get_or_init(sound);
    let mut file = sound.clone();
    let (changes, rest) = bytes.as_chunks::<3>();
    for [high, low, byte] in changes.iter().take(CHANGES_MAX) {
        // The first page is the one that tells of all the others: half of the places are there.
        let at = usize::from(u16::from_be_bytes([*high, *low]));
        let at = if at % 2 == 0 { at / 2 % 4_096 } else { at * 2 % file.len() };
        file[at] = *byte;
    }
    if let Some(cut) = rest.first() {
        file.truncate(file.len() * usize::from(*cut) / 256);
    }
    let dir = tempfile::tempdir_in(memory()).expect("a folder");
    let path = dir.path().join("index.db");
    std::fs::write(&path, &file).expect("a file");
    match Index::open(&path) {
        Ok(opened) => {
            read(&opened.index);
            opened.index.close();
            if opened.rebuilt.is_some() {
                let again = Index::open(&path).expect("a new file is sound");
                assert_eq!(again.rebuilt, None, "a new file is sound");
                again.index.close();
                assert!(dir.path().join("index.db.damaged-1").is_file(), "it is kept aside");
            }
        }
        // What looks like a newer program's file is left to that.
        Err(IndexError::Newer { .. }) => {}
        Err(error) => panic!("damage is mended: {error}"),
    }
}

/// Makes every query, whatever the answer.
fn read(index: &Index) {
    let reader = index.reader();
    let listing = Listing { limit: 100, ..Listing::default() };
    let _ = reader.recordings(&listing);
    let _ = reader.recordings(&Listing { text: Some("rec".to_owned()), ..listing });
    let _ = reader.unrecognised(&[], None, None, 100);
    let _ = reader.totals();
    let _ = reader.knows_a_catalog();
    let mut left = 10_000;
    let _ = reader.overlapping(0, i64::MAX, &mut |_, _| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Ok(Some((root, _))) = reader.root_with_marker("root-1") {
        let _ = reader.pick(root, &Pick::newest(100));
        let _ = reader.unreported(root, 100);
        let _ = reader.next_due(root);
    }
}

/// A folder in memory, if the machine has one.
fn memory() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// An index of a few recordings, closed in order.
fn sound() -> Vec<u8> {
    let dir = tempfile::tempdir_in(memory()).expect("a folder");
    let path = dir.path().join("index.db");
    let index = Index::open(&path).expect("an index").index;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let root = index.root("root-1".to_owned(), "/data".to_owned(), 1).await.expect("a root");
        let seen = (0..40).map(observation).collect();
        index.observe(root.id, seen, 5_000).await.expect("observed");
    });
    index.close();
    std::fs::read(&path).expect("a file")
}

fn observation(n: i64) -> Observation {
    let place = Place {
        folder: format!("day-{}", n % 3).into_bytes(),
        stem: format!("rec-{n}").into_bytes(),
    };
    let text = if n % 7 == 6 {
        "{".to_owned()
    } else {
        format!(r#"{{"start_time":{},"end_time":{},"n":[{n}]}}"#, 1_000 + n, 1_000 + n * n)
    };
    let stat = FileStat { size: n, mtime_ns: n };
    let look = Look {
        data: Some(DataSeen { extension: "dat".to_owned(), stat }),
        sidecar: Some(SidecarSeen {
            stat,
            identity: FileIdentity::default(),
            bytes: Some(text.into_bytes()),
        }),
        ..Look::default()
    };
    let rules = Rules { root: "root-1", form: PairForm::focus(), settle_ms: 0 };
    let closed = Closed { data: true, sidecar: true };
    let judged = judge(&place, &Sight::default(), &look, closed, rules, 1);
    Observation {
        place,
        conclusion: judged.conclusion,
        sight: judged.sight,
        due_ms: judged.due_ms,
        mount: None,
    }
}
