//! The file itself: damaged, newer, locked, read while it is written.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use focus_core::batch::Pick;
use focus_index::{Index, IndexError};

use crate::fixture::{Fixture, sidecar};

const START: i64 = 1_700_000_000_000;

/// A file of some pages, closed without being marked as closed in order.
async fn used() -> (tempfile::TempDir, Vec<u8>) {
    let mut fixture = Fixture::new().await;
    for n in 0..200 {
        fixture.put(&format!("r{n}"), &sidecar(&format!("u{n}"), START)).await;
    }
    fixture.index.close();
    let path = fixture.path();
    let connection = rusqlite::Connection::open(&path).expect("the file");
    connection
        .execute_batch(
            "UPDATE meta SET value = '0' WHERE key = 'clean'; PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .expect("a mark");
    drop(connection);
    let bytes = fs::read(&path).expect("the file");
    (fixture.dir, bytes)
}

fn strike(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::File::options().write(true).open(path).expect("the file");
    file.seek(SeekFrom::Start(at)).expect("a place");
    file.write_all(bytes).expect("written");
}

#[tokio::test]
async fn a_damaged_file_is_kept_aside_and_a_new_one_made() {
    let (dir, whole) = used().await;
    let path = dir.path().join("index.db");
    let length = whole.len() as u64;
    // The header, a table's root, pages in the middle, the end cut off, and no database at all.
    type Damage = fn(&Path, u64);
    let damages: [(&str, Damage); 5] = [
        ("header", |path, _| strike(path, 0, b"not a database at all")),
        ("first page", |path, _| strike(path, 100, &[0xff; 400])),
        ("middle", |path, length| strike(path, length / 2, &[0xa5; 8192])),
        ("cut", |path, length| {
            let file = fs::File::options().write(true).open(path).expect("the file");
            file.set_len(length / 2).expect("cut");
        }),
        ("text", |path, _| fs::write(path, "hello").expect("written")),
    ];
    for (n, (name, damage)) in damages.into_iter().enumerate() {
        fs::write(&path, &whole).expect("restored");
        damage(&path, length);
        let damaged = fs::read(&path).expect("damaged");
        let opened = Index::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let told = opened.rebuilt.unwrap_or_else(|| panic!("{name}: damage was not detected"));
        let aside = dir.path().join(format!("index.db.damaged-{}", n + 1));
        assert!(told.contains(&*aside.to_string_lossy()), "{name}: {told}");
        assert_eq!(fs::read(&aside).expect("kept"), damaged, "{name}: kept as it was");
        assert_eq!(opened.index.reader().totals().expect("totals").recordings, 0, "{name}");
        opened.index.close();
    }
}

#[tokio::test]
async fn a_file_killed_while_open_is_whole_when_opened_again() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    // What a killed process leaves behind: the file and its log, as they are.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["index.db", "index.db-wal"] {
        fs::copy(fixture.dir.path().join(name), copy.path().join(name)).expect("copied");
    }
    let opened = Index::open(&copy.path().join("index.db")).expect("an index");
    assert_eq!(opened.rebuilt, None);
    assert_eq!(opened.index.reader().totals().expect("totals").pending, 1);
    assert_eq!(opened.index.reader().broken_invariants().expect("checks"), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_of_an_earlier_version_is_taken_over_with_all_that_it_holds() {
    let (dir, _) = used().await;
    let path = dir.path().join("index.db");
    let connection = rusqlite::Connection::open(&path).expect("the file");
    crate::fixture::as_version(2, &connection);
    drop(connection);
    let opened = Index::open(&path).expect("an index");
    assert_eq!(opened.rebuilt, None);
    let reader = opened.index.reader();
    let root = crate::fixture::remember(&opened.index).await;
    let picked = reader.pick(root, &Pick::newest(1_000)).expect("read without sums").items;
    assert_eq!(picked.len(), 200);
    assert_eq!(reader.check().expect("checked"), focus_index::Doubts::default());
}

#[tokio::test]
async fn a_file_of_version_3_is_taken_over_with_every_state_that_it_holds() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("index.db");
    let old = rusqlite::Connection::open(&path).expect("a file");
    old.execute_batch(include_str!("version3.sql")).expect("as it was");
    drop(old);
    let opened = Index::open(&path).expect("an index");
    assert_eq!(opened.rebuilt, None);
    let (index, reader) = (opened.index.clone(), opened.index.reader());
    assert_eq!(reader.broken_invariants().expect("invariants"), Vec::<String>::new());
    let memory = index.root("root-1".to_owned(), "/data".to_owned(), 1_000).await.expect("a root");
    assert_eq!((memory.token, memory.remembered.as_deref()), (4, Some("w7")));
    let root = memory.id;
    // The start has made what was refused pending again, and forgotten the proof and the archive.
    let picked = reader.pick(root, &Pick::newest(100)).expect("picked").items;
    let told: Vec<_> = picked
        .iter()
        .map(|one| (&*one.recording.uuid, one.generation, one.recording.deleted_at_ms))
        .collect();
    let wanted = [("u10", 4, Some(860)), ("u8", 2, Some(860)), ("u4", 1, None), ("u3", 3, None)];
    assert_eq!(told, [&wanted[..], &[("u2", 1, None)]].concat());
    assert!(picked[3].recording.deleted && !picked[2].recording.deleted);
    let candidates = reader.vanish_candidates(root, None, 10).expect("candidates");
    let stems: Vec<_> = candidates.iter().map(|one| one.place.display()).collect();
    assert_eq!(stems, ["d/r5", "d/r6", "d/r9"]);
    let device = |one: &focus_index::Candidate| {
        one.mount.as_ref().map(|mount| (mount.kind.clone(), mount.file_system.clone()))
    };
    let seven = Some(("device".to_owned(), "7".to_owned()));
    assert!(candidates.iter().all(|one| one.proof_ms.is_none() && device(one) == seven));
    let held = reader.held(root, 0, 10).expect("held");
    assert_eq!(held.iter().map(|one| &*one.uuid).collect::<Vec<_>>(), ["u7"]);
    assert_eq!(index.approve(root, 1, 5_000).await.expect("approved"), 1);
    // What has left raises what later ones begin above.
    let ack =
        focus_index::Ack { id: picked[0].id, generation: 4, answer: focus_index::Answer::Removed };
    index.acknowledge(root, None, vec![ack], 5_000).await.expect("stored");
    assert_eq!(reader.root_totals(root).expect("totals").recordings, 7);
    assert_eq!(reader.broken_invariants().expect("invariants"), Vec::<String>::new());
    index.close();
}

#[tokio::test]
async fn a_row_that_has_changed_by_itself_is_damage_and_is_not_told_to_the_catalog() {
    let (dir, whole) = used().await;
    let path = dir.path().join("index.db");
    for change in [
        "start_ms = start_ms + 1",
        "end_ms = end_ms + 1",
        "uuid = uuid || 'x'",
        "path = 'x' || path",
        "size = 0",
        "deleted = 1",
        "metadata = '{\"a\":1}'",
        "metadata = '{'",
        "recording_id = ''",
        "fingerprint = 'f'",
    ] {
        fs::write(&path, &whole).expect("restored");
        let connection = rusqlite::Connection::open(&path).expect("the file");
        let sql = format!("UPDATE recordings SET {change} WHERE id = 7");
        assert_eq!(connection.execute(&sql, []).expect("changed"), 1);
        drop(connection);
        let index = Index::open(&path).expect("an index").index;
        let root = crate::fixture::remember(&index).await;
        let error = index.reader().pick(root, &Pick::newest(1_000)).expect_err(change);
        assert!(error.is_damage(), "{change}: {error}");
        let compared = index.reader().range(root, None, None, 1_000).expect_err(change);
        assert!(compared.is_damage(), "{change}: {compared}");
        index.close();
    }
}

#[tokio::test]
async fn damaged_files_are_kept_up_to_a_bound() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("index.db");
    for n in 1..=8 {
        fs::write(&path, format!("no database, {n}")).expect("written");
        let opened = Index::open(&path).expect("an index");
        assert!(opened.rebuilt.is_some_and(|words| words.contains(&format!("damaged-{n}"))));
        opened.index.close();
    }
    let kept = |n: u32| dir.path().join(format!("index.db.damaged-{n}")).exists();
    assert_eq!((1..=8).filter(|n| kept(*n)).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let (dir, _) = used().await;
    let path = dir.path().join("index.db");
    let connection = rusqlite::Connection::open(&path).expect("the file");
    connection
        .execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE);")
        .expect("a version");
    drop(connection);
    let before = fs::read(&path).expect("the file");
    let error = Index::open(&path).expect_err("newer");
    assert!(matches!(error, IndexError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer program"), "{error}");
    assert_eq!(fs::read(&path).expect("the file"), before);
    let names: Vec<_> = fs::read_dir(dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    assert!(!names.iter().any(|name| name.contains("damaged")), "{names:?}");
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_an_error_not_a_panic() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = Index::open(dir.path()).expect_err("a folder is no database");
    assert!(error.to_string().contains(&*dir.path().to_string_lossy()), "{error}");
}

#[tokio::test]
async fn readers_do_not_wait_for_the_writer() {
    let mut fixture = Fixture::new().await;
    fixture.put("r", &sidecar("u", START)).await;
    let mut writer = rusqlite::Connection::open(fixture.path()).expect("the file");
    let transaction = writer
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .expect("the writer's lock");
    transaction.execute("UPDATE recordings SET deleted = 1", []).expect("changed");
    // The lock is held for as long as this takes: an answer can come only beside it.
    assert_eq!(fixture.listed().len(), 1);
    assert!(!fixture.listed()[0].deleted, "what is not committed is not seen");
    assert_eq!(fixture.index.reader().totals().expect("totals").pending, 1);
    transaction.rollback().expect("undone");
}

#[tokio::test]
async fn a_closed_index_says_so() {
    let fixture = Fixture::new().await;
    fixture.index.close();
    let error = fixture.index.set_token(fixture.root, 2).await.expect_err("closed");
    assert!(matches!(error, IndexError::Closed), "{error}");
}
