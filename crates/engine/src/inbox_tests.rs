//! Tests of the inbox.

use super::*;

fn place(stem: usize) -> Place {
    Place { folder: Vec::new(), stem: stem.to_string().into_bytes() }
}

fn take_all(inbox: &Inbox) -> PlacesToLookAt {
    inbox.take(usize::MAX, Duration::ZERO)
}

#[test]
fn what_a_scan_finds_one_after_another_is_taken_together_and_a_hint_at_once() {
    let inbox = Inbox::default();
    let patience = Duration::from_secs(60);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..1_000).for_each(|n| inbox.hand_over(place(n)).then_some(()).expect("taken"))
        });
        let (mut found, mut rounds) = (0, 0);
        while found < 1_000 {
            found += inbox.take(2_048, patience).places.len();
            rounds += 1;
        }
        assert!(rounds < 500, "{rounds} transactions of 1,000 places");
    });
    let taken = inbox.take(2_048, Duration::ZERO);
    assert!(taken.places.is_empty());
    inbox.hint(place(1), Closed::default());
    inbox.hand_over(place(2));
    assert_eq!(inbox.take(2_048, patience).places.len(), 2);
}

#[test]
fn hints_beyond_the_bound_ask_for_a_scan() {
    let inbox = Inbox::default();
    (0..HINTS_MAX).for_each(|n| inbox.hint(place(n), Closed::default()));
    inbox.hint(place(0), Closed::default());
    assert_eq!(inbox.scan_work(Duration::ZERO), ScanWork::Nothing);
    inbox.hint(place(HINTS_MAX), Closed::default());
    assert_eq!(inbox.scan_work(Duration::ZERO), ScanWork::Scan(ScanAsked::Stat));
    assert_eq!(take_all(&inbox).places.len(), HINTS_MAX);
}

#[test]
fn folders_beyond_the_bound_ask_for_a_scan() {
    let inbox = Inbox::default();
    (0..=FOLDERS_MAX).for_each(|n| inbox.hint_folder(n.to_string().into_bytes()));
    assert_eq!(inbox.scan_work(Duration::ZERO), ScanWork::Scan(ScanAsked::Names));
}

#[test]
fn a_barrier_waits_for_the_hints_before_it_alone() {
    let inbox = Inbox::default();
    inbox.hint(place(1), Closed::default());
    let mut barrier = inbox.barrier();
    assert!(!inbox.is_past(&mut barrier));
    take_all(&inbox);
    inbox.hint(place(2), Closed::default());
    assert!(inbox.is_past(&mut barrier));
}

#[test]
fn a_barrier_waits_until_the_finds_of_a_folder_before_it_are_stored() {
    let inbox = Inbox::default();
    inbox.hint_folder(b"folder".to_vec());
    let mut barrier = inbox.barrier();
    let work = inbox.scan_work(Duration::ZERO);
    assert_eq!(work, ScanWork::Folders(vec![b"folder".to_vec()]));
    assert!(!inbox.is_past(&mut barrier), "the folder is being scanned");
    inbox.hand_over(place(1));
    inbox.scan_work_done();
    assert!(!inbox.is_past(&mut barrier), "what it found is not stored");
    let taken = take_all(&inbox);
    inbox.scan_finds_stored(taken.from_scans);
    assert!(inbox.is_past(&mut barrier));
}

#[test]
fn more_finds_stored_than_handed_over_have_everything_scanned() {
    let inbox = Inbox::default();
    inbox.scan_finds_stored(1);
    assert_eq!(inbox.scan_work(Duration::ZERO), ScanWork::Scan(ScanAsked::Stat));
    inbox.scan_work_done();
    inbox.hand_over(place(1));
    let mut barrier = inbox.barrier();
    assert!(!inbox.is_past(&mut barrier));
}

#[test]
fn hints_from_outside_share_a_batch_with_what_scans_find() {
    let inbox = Inbox::default();
    inbox.reopen();
    (0..8).for_each(|n| assert!(inbox.hand_over(place(100 + n))));
    let mut targets = (0..8).map(|n| Target::Place(place(n))).collect();
    inbox.hint_outside(&mut targets);
    assert!(targets.is_empty());
    let taken = inbox.take(8, Duration::ZERO);
    let outside = taken.places.iter().filter(|(one, _)| one.stem.len() == 1).count();
    assert_eq!((outside, taken.from_scans), (4, 4));
}

#[test]
fn hints_from_outside_wait_for_room_only_while_somebody_takes_them() {
    let many = || (0..40_000).map(|n| Target::Place(place(n))).collect::<VecDeque<_>>();
    let inbox = Inbox::default();
    let mut targets = many();
    inbox.hint_outside(&mut targets);
    assert!(targets.is_empty(), "the return of the root has everything scanned");
    inbox.reopen();
    let mut targets = many();
    inbox.hint_outside(&mut targets);
    let left = targets.len();
    assert!(left > 0);
    assert_eq!(inbox.take(2_000, Duration::ZERO).places.len(), 1_000);
    inbox.hint_outside(&mut targets);
    assert_eq!(targets.len(), left - 1_000);
    inbox.outside_overflowed();
    take_all(&inbox);
    assert_eq!(inbox.scan_work(Duration::ZERO), ScanWork::Scan(ScanAsked::Names));
}

#[test]
fn hints_from_outside_add_few_folders_to_those_that_wait() {
    let inbox = Inbox::default();
    inbox.reopen();
    let mut targets = (0..100).map(|n| Target::Folder(vec![b'a'; n + 1])).collect();
    inbox.hint_outside(&mut targets);
    let mut folders = 0;
    for _ in 0..10 {
        for folder in take_all(&inbox).folders {
            let Target::Folder(folder) = folder else { panic!("a folder") };
            inbox.hint_folder(folder);
            folders += 1;
        }
    }
    assert_eq!(folders, FOLDERS_OUTSIDE_MAX);
    assert!(matches!(inbox.scan_work(Duration::ZERO), ScanWork::Folders(_)));
    assert!(!take_all(&inbox).folders.is_empty());
}

#[test]
fn what_could_not_be_stored_comes_back_as_a_hint() {
    let inbox = Inbox::default();
    inbox.hand_over(place(1));
    let mut barrier = inbox.barrier();
    inbox.put_back(take_all(&inbox));
    assert_eq!(take_all(&inbox).places, [(place(1), Closed::default())]);
    assert!(inbox.is_past(&mut barrier));
}

#[test]
fn a_place_that_is_hinted_at_and_found_by_a_scan_is_looked_at_once_as_what_was_closed() {
    let inbox = Inbox::default();
    let closed = Closed { data: true, sidecar: true };
    inbox.hand_over(place(1));
    inbox.hand_over(place(2));
    inbox.hint(place(1), closed);
    let taken = take_all(&inbox);
    assert_eq!(taken.places, [(place(1), closed), (place(2), Closed::default())]);
    assert_eq!(taken.from_scans, 2);
}

#[test]
fn a_place_at_which_files_are_being_put_is_looked_at_once_they_are_there_and_a_barrier_waits_for_that()
 {
    let inbox = Inbox::default();
    let taken = || inbox.take(10, Duration::ZERO).places;
    let data = Closed { data: true, sidecar: false };
    let held = inbox.hold(place(1));
    inbox.hint(place(1), data);
    inbox.hint(place(2), data);
    assert_eq!(taken(), [(place(2), data)]);
    let mut barrier = inbox.barrier();
    assert!(!inbox.is_past(&mut barrier));
    held.whole();
    assert!(!inbox.is_past(&mut barrier));
    assert_eq!(taken(), [(place(1), Closed { data: true, sidecar: true })]);
    assert!(inbox.is_past(&mut barrier));
    // What could not be put there leaves what the watch has told, and nothing else.
    drop(inbox.hold(place(1)));
    assert_eq!(taken(), []);
    let held = inbox.hold(place(1));
    inbox.hint(place(1), data);
    drop(held);
    assert_eq!(taken(), [(place(1), data)]);
}
