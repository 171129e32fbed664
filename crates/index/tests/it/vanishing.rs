//! What is gone: marked, held, approved, moved.

use std::sync::Arc;

use focus_core::compare::{Compared, ComparedEntry};
use focus_core::document::Stored;
use focus_core::mount::Mount;
use focus_core::vanish::{Held, MaxVanished};
use focus_index::Concluded;

use crate::fixture::{Fixture, mount, place_of, sidecar};

const START: i64 = 1_700_000_000_000;

const MAX: MaxVanished = MaxVanished { percent: 10, at_least: 2 };

fn decided(marked: u64, held: u64) -> Concluded {
    Concluded { marked, held, leaving: 0 }
}

/// A fixture with `count` catalogued recordings in the folder `d`.
async fn catalogued(count: usize) -> Fixture {
    let mut fixture = Fixture::new().await;
    for at in 0..count {
        fixture.put(&format!("d/r{at}"), &sidecar(&format!("u{at}"), START)).await;
    }
    fixture.acknowledge_all().await;
    fixture
}

async fn gone(fixture: &mut Fixture, places: &[usize]) {
    for at in places {
        fixture.remove(&format!("d/r{at}")).await;
    }
}

#[tokio::test]
async fn what_is_gone_is_marked_pending_and_dated() {
    let mut fixture = catalogued(5).await;
    gone(&mut fixture, &[1]).await;
    assert_eq!(fixture.conclude(MAX, false).await, decided(1, 0));
    let pending = fixture.pending();
    assert_eq!(pending.len(), 1);
    assert!(pending[0].recording.deleted);
    assert_eq!(pending[0].recording.deleted_at_ms, Some(9_000));
    fixture.is_in_order();
    fixture.put("d/r1", &sidecar("u1", START)).await;
    let back = fixture.pending().remove(0).recording;
    assert_eq!((back.deleted, back.deleted_at_ms), (false, None));
    fixture.is_in_order();
}

#[tokio::test]
async fn too_many_are_held_and_the_set_that_was_shown_is_what_is_approved() {
    let mut fixture = catalogued(20).await;
    gone(&mut fixture, &[0, 1, 2]).await;
    assert_eq!(fixture.conclude(MAX, false).await, decided(0, 3));
    let through = fixture.index.reader().held_through(fixture.root).expect("read");
    // One comes back and goes again, another goes: neither is of the set.
    fixture.put("d/r0", &sidecar("u0", START)).await;
    fixture.acknowledge_all().await;
    gone(&mut fixture, &[0, 3]).await;
    assert_eq!(fixture.conclude(MAX, false).await.held, 2);
    fixture.reopen().await;
    let approved = fixture.index.approve(fixture.root, through, 9_900).await.expect("approved");
    assert_eq!(approved, 2);
    let held = fixture.index.reader().held(fixture.root, 0, 10).expect("read");
    let mut uuids: Vec<_> = held.iter().map(|row| (&*row.uuid, row.why)).collect();
    uuids.sort_unstable_by_key(|(uuid, _)| *uuid);
    assert_eq!(uuids, [("u0", Held::TooMany), ("u3", Held::TooMany)]);
    fixture.is_in_order();
}

#[tokio::test]
async fn what_was_approved_counts_no_more_and_what_was_marked_does() {
    let mut fixture = catalogued(20).await;
    gone(&mut fixture, &[0, 1, 2]).await;
    fixture.conclude(MAX, false).await;
    fixture.index.approve(fixture.root, i64::MAX, 9_900).await.expect("approved");
    gone(&mut fixture, &[3, 4]).await;
    assert_eq!(fixture.conclude(MAX, false).await, decided(2, 0));
    gone(&mut fixture, &[5]).await;
    assert_eq!(fixture.conclude(MAX, false).await, decided(0, 1));
}

#[tokio::test]
async fn a_uuid_that_any_sidecar_names_is_neither_marked_nor_counted() {
    let mut fixture = catalogued(3).await;
    gone(&mut fixture, &[0]).await;
    // Read, and not settled: the writer has not closed it.
    fixture.write("e/r0", &sidecar("u0", START));
    let places = [place_of("e/r0")];
    let mut batch = fixture.judge(&places);
    batch[0].conclusion = focus_core::settle::Conclusion::Unsettled;
    batch[0].sight.settled = false;
    batch[0].due_ms = Some(1);
    fixture.index.observe(fixture.root, batch, 5_000).await.expect("observe");
    assert_eq!(fixture.conclude(MAX, false).await, Concluded::default());
    fixture.look(&places).await;
    assert_eq!(fixture.listed().iter().filter(|row| row.vanished).count(), 0);
    fixture.is_in_order();
}

/// Stores the mounts that a full scan found these folders on, and judges those on which something was seen.
async fn scanned(fixture: &Fixture, found: Vec<(String, Mount)>) -> bool {
    let (index, root) = (fixture.index.clone(), fixture.root);
    let work = move || {
        let mut view = focus_index::ScanView::new(&index.reader(), root).expect("a view");
        let met = found.iter().map(|(_, mount)| mount.clone()).collect();
        let folders = found
            .into_iter()
            .map(|(path, mount)| {
                let known = view.folder_mount(path.as_bytes()).expect("read");
                (known.expect("a folder").0, mount)
            })
            .collect();
        index.mounts_found_blocking(root, folders).expect("stored");
        index.settle_mounts_blocking(root, met).expect("stored")
    };
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// The mounts that what is gone was seen on, by the ids of their file systems.
fn gone_from(fixture: &Fixture) -> Vec<(String, String)> {
    let reader = fixture.index.reader();
    let candidates = reader.vanish_candidates(fixture.root, None, 100).expect("candidates");
    let at = |one: focus_index::Candidate| {
        (one.place.display(), one.mount.map(|mount| mount.file_system).unwrap_or_default())
    };
    candidates.into_iter().map(at).collect()
}

#[tokio::test]
async fn what_was_seen_on_a_mount_over_a_folder_is_not_judged_by_that_folder() {
    let mut fixture = Fixture::new().await;
    fixture.mount = Some(Arc::new(mount("disk")));
    for place in ["nas/stray", "own", "nas/copied"] {
        fixture.put(place, &sidecar(place, START)).await;
    }
    // Something is mounted over the folder. It holds a copy of one of the two that were there.
    let nas = Mount { point: b"nas".to_vec(), ..mount("nas") };
    fixture.mount = Some(Arc::new(nas.clone()));
    for place in ["nas/a", "nas/below/b"] {
        fixture.put(place, &sidecar(place, START)).await;
    }
    fixture.acknowledge_all().await;
    fixture.remove("nas/stray").await;
    let disk = || ("disk".to_owned(), mount("disk"));
    let top = |mount: Mount| (String::new(), mount);
    let on = |path: &str, mount: &Mount| (path.to_owned(), mount.clone());
    let mounted = vec![top(mount("disk")), on("nas", &nas), on("nas/below", &nas)];
    assert!(!scanned(&fixture, mounted.clone()).await);
    let stray = ("nas/stray".to_owned(), disk().0);
    assert_eq!(gone_from(&fixture), [stray], "not looked for on the disk below");
    // It is unmounted: all that was seen on it is gone, and the stray one is there again.
    fixture.mount = Some(Arc::new(mount("disk")));
    for place in ["nas/a", "nas/below/b", "nas/copied"] {
        fixture.remove(place).await;
    }
    fixture.put("nas/stray", &sidecar("nas/stray", START)).await;
    assert!(!scanned(&fixture, vec![top(mount("disk")), on("nas", &mount("disk"))]).await);
    let nas_gone =
        ["nas/copied", "nas/a", "nas/below/b"].map(|at| (at.to_owned(), "nas".to_owned()));
    assert_eq!(gone_from(&fixture), nas_gone);
    // It comes back as a file system of another id, with all that it held.
    let again = Mount { file_system: "again".to_owned(), ..nas };
    fixture.mount = Some(Arc::new(again.clone()));
    for place in ["nas/a", "nas/below/b", "nas/copied"] {
        fixture.put(place, &sidecar(place, START)).await;
    }
    assert!(
        scanned(&fixture, vec![top(mount("disk")), on("nas", &again), on("nas/below", &again)])
            .await
    );
    fixture.remove("nas/a").await;
    assert_eq!(gone_from(&fixture), [("nas/a".to_owned(), "again".to_owned())]);
    fixture.is_in_order();
}

#[tokio::test]
async fn another_mount_holds_until_nine_tenths_are_found_on_it() {
    let mut fixture = Fixture::new().await;
    fixture.mount = Some(Arc::new(mount("7")));
    for at in 0..20 {
        fixture.put(&format!("f{}/r{at}", at / 2), &sidecar(&format!("u{at}"), START)).await;
    }
    fixture.acknowledge_all().await;
    fixture.remove("f0/r0").await;
    fixture.remove("f0/r1").await;
    assert_eq!(fixture.conclude(MAX, true).await, decided(0, 2));
    let found_on = async |count: usize| {
        let folders = (1..=count).map(|at| (format!("f{at}"), mount("8"))).collect();
        scanned(&fixture, folders).await
    };
    assert!(!found_on(8).await, "16 of 20 are too few");
    assert!(found_on(9).await, "18 of 20");
    assert_eq!(fixture.conclude(MAX, false).await, decided(2, 0));
    fixture.is_in_order();
}

#[tokio::test]
async fn what_an_exclude_hides_is_held_and_looked_for_anew_once_it_is_shown() {
    let mut fixture = catalogued(20).await;
    gone(&mut fixture, &[0, 1]).await;
    assert_eq!(fixture.conclude_hidden(MAX).await, decided(0, 2));
    let held = fixture.index.reader().held(fixture.root, 0, 10).expect("read");
    assert_eq!(held.iter().map(|row| row.why).collect::<Vec<_>>(), [Held::Excluded; 2]);
    let (index, root, seq) = (fixture.index.clone(), fixture.root, held[0].seq);
    let shown = move || index.shown_blocking(root, vec![seq]).expect("stored");
    tokio::task::spawn_blocking(shown).await.expect("no panic");
    assert_eq!(fixture.index.reader().totals().expect("totals").held, 1);
    assert_eq!(fixture.conclude(MAX, false).await, decided(1, 0));
    fixture.is_in_order();
}

#[tokio::test]
async fn what_was_never_seen_needs_a_neighbour_to_be_marked() {
    let fixture = catalogued(3).await;
    let stored = |uuid: &str, path: &str| {
        let mut recording =
            fixture.index.reader().range(fixture.root, None, None, 1).expect("read").items;
        let mut recording = recording.remove(0).recording;
        uuid.clone_into(&mut recording.uuid);
        path.clone_into(&mut recording.path);
        Stored {
            uuid: uuid.to_owned(),
            root: Some(recording.root.clone()),
            version: Some(focus_core::document::version(1, 5)),
            deleted: false,
            path: Some(path.to_owned()),
            recording: Some(recording),
        }
    };
    let documents =
        vec![stored("x", "d/x.dat"), stored("y", "other/y.dat"), stored("u1", "d/z.dat")];
    fixture.index.add_missing(fixture.root, documents, 5_000).await.expect("stored");
    assert_eq!(fixture.conclude(MAX, false).await, decided(1, 1));
    let held = fixture.index.reader().held(fixture.root, 0, 10).expect("read");
    assert_eq!((&*held[0].uuid, held[0].why), ("y", Held::NeverSeen));
    fixture.is_in_order();
}

#[tokio::test]
async fn a_mark_that_the_catalog_has_already_is_taken_over() {
    let mut fixture = catalogued(20).await;
    gone(&mut fixture, &[0, 1, 2]).await;
    fixture.conclude(MAX, false).await;
    let rows =
        fixture.index.reader().range(fixture.root, None, Some("u0"), 10).expect("read").items;
    let (id, generation) = (rows[0].id, rows[0].generation);
    let found = vec![ComparedEntry { id, generation, found: Compared::Deleted(Some(77)) }];
    fixture.index.found(found, 9_000).await.expect("stored");
    assert_eq!(fixture.index.reader().totals().expect("totals").held, 2);
    assert_eq!(fixture.pending(), []);
    fixture.is_in_order();
}
