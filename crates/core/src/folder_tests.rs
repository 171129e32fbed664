use super::*;

const SECOND_NS: i64 = 1_000_000_000;

fn mount(kind: &str) -> Arc<Mount> {
    Arc::new(Mount {
        point: Vec::new(),
        kind: kind.to_owned(),
        within: b"/".to_vec(),
        file_system: "1".to_owned(),
    })
}

/// A folder with this inode that was changed at this second.
fn seen(inode: u64, changed_s: i64) -> FolderSeen {
    FolderSeen {
        id: FolderId { device: 1, inode },
        mtime_ns: changed_s * SECOND_NS,
        ctime_ns: changed_s * SECOND_NS,
        mount: mount("ext4"),
    }
}

fn clock(now_s: i64) -> ScanClock {
    ScanClock { now_ns: now_s * SECOND_NS, ahead_ms: 0 }
}

/// A scan at this second that reads these folders, and finds everything as it is known.
fn scan(memory: &mut FolderMemory, now_s: i64, folders: &[(&str, FolderSeen, &[&str])]) {
    memory.begin(clock(now_s));
    for (folder, seen, below) in folders {
        memory.read(folder.as_bytes(), seen.clone(), false);
        let below: Vec<Vec<u8>> = below.iter().map(|name| name.as_bytes().to_vec()).collect();
        memory.was_the_same(folder.as_bytes(), &below);
    }
    memory.end(true);
}

fn is_skipped(memory: &mut FolderMemory, folder: &str, now: &FolderSeen) -> bool {
    memory.skip(folder.as_bytes(), now, false).is_some()
}

#[test]
fn a_folder_that_is_as_it_was_read_is_skipped_and_tells_the_folders_in_it() {
    let mut memory = FolderMemory::default();
    scan(&mut memory, 100, &[("", seen(1, 50), &["a", "b"]), ("a", seen(2, 50), &[])]);
    memory.begin(clock(200));
    assert_eq!(memory.skip(b"", &seen(1, 50), false), Some(vec![b"a".to_vec(), b"b".to_vec()]));
    assert_eq!(memory.skip(b"a", &seen(2, 50), false), Some(Vec::new()));
    assert_eq!(memory.skip(b"b", &seen(3, 50), false), None, "it was not read");
}

#[test]
fn a_folder_with_another_time_inode_device_or_mount_is_read() {
    let mut memory = FolderMemory::default();
    scan(&mut memory, 100, &[("a", seen(2, 50), &[])]);
    let was = seen(2, 50);
    let others = [
        FolderSeen { mtime_ns: was.mtime_ns - 1, ..was.clone() },
        FolderSeen { ctime_ns: was.ctime_ns + 1, ..was.clone() },
        FolderSeen { id: FolderId { device: 1, inode: 3 }, ..was.clone() },
        FolderSeen { id: FolderId { device: 2, inode: 2 }, ..was.clone() },
        FolderSeen { mount: mount("xfs"), ..was.clone() },
    ];
    for other in others {
        assert!(!is_skipped(&mut memory, "a", &other), "{other:?}");
    }
    assert!(is_skipped(&mut memory, "a", &was));
}

#[test]
fn a_reading_within_a_tick_of_the_last_change_or_before_it_does_not_count() {
    for changed_s in [98, 99, 100, 101, 4_000] {
        let mut memory = FolderMemory::default();
        scan(&mut memory, 100, &[("a", seen(2, changed_s), &[])]);
        assert!(!is_skipped(&mut memory, "a", &seen(2, changed_s)), "{changed_s}");
    }
    let mut memory = FolderMemory::default();
    let touched = FolderSeen { mtime_ns: SECOND_NS, ..seen(2, 99) };
    scan(&mut memory, 100, &[("a", touched.clone(), &[]), ("b", seen(3, 97), &[])]);
    assert!(!is_skipped(&mut memory, "a", &touched), "its modification time was set back");
    assert!(is_skipped(&mut memory, "b", &seen(3, 97)));
}

#[test]
fn folders_of_other_file_systems_are_read_by_every_scan() {
    for kind in ["nfs4", "cifs", "fuse", "overlay", "vfat"] {
        let mut memory = FolderMemory::default();
        let seen = FolderSeen { mount: mount(kind), ..seen(2, 50) };
        scan(&mut memory, 100, &[("a", seen.clone(), &[])]);
        assert!(!is_skipped(&mut memory, "a", &seen), "{kind}");
    }
}

#[test]
fn a_folder_in_which_something_was_looked_at_is_read_even_while_its_reading_goes_on() {
    let mut memory = FolderMemory::default();
    scan(&mut memory, 100, &[("a", seen(2, 50), &[])]);
    memory.looked_at(b"a");
    assert!(!is_skipped(&mut memory, "a", &seen(2, 50)));
    memory.begin(clock(200));
    memory.read(b"a", seen(2, 50), false);
    memory.looked_at(b"a");
    memory.was_the_same(b"a", &[]);
    memory.end(true);
    assert!(!is_skipped(&mut memory, "a", &seen(2, 50)));
    scan(&mut memory, 300, &[("a", seen(2, 50), &[])]);
    assert!(is_skipped(&mut memory, "a", &seen(2, 50)));
}

#[test]
fn a_reading_that_found_something_else_than_is_known_does_not_count() {
    let mut memory = FolderMemory::default();
    scan(&mut memory, 100, &[("a", seen(2, 50), &[])]);
    memory.begin(clock(200));
    memory.read(b"a", seen(2, 50), false);
    memory.end(true);
    assert!(!is_skipped(&mut memory, "a", &seen(2, 50)));
}

#[test]
fn what_is_in_a_folder_that_is_new_or_replaced_is_read() {
    let mut memory = FolderMemory::default();
    scan(&mut memory, 100, &[("a", seen(2, 50), &["b"]), ("a/b", seen(3, 50), &[])]);
    memory.begin(clock(200));
    assert!(memory.read(b"a", seen(9, 50), false), "another folder");
    assert_eq!(memory.skip(b"a/b", &seen(3, 50), true), None);
    assert!(memory.read(b"a/b", seen(3, 50), true));
    assert!(memory.read(b"new", seen(4, 50), false));
    memory.end(true);
    memory.begin(clock(300));
    assert!(!memory.read(b"a", seen(9, 250), false), "changed, and the same folder");
}

#[test]
fn what_a_scan_did_not_meet_is_forgotten_and_a_scan_that_failed_counts_for_nothing() {
    let mut memory = FolderMemory::default();
    scan(&mut memory, 100, &[("a", seen(2, 50), &["b"]), ("c", seen(3, 50), &[])]);
    scan(&mut memory, 200, &[("a", seen(2, 50), &["b"])]);
    assert!(!is_skipped(&mut memory, "c", &seen(3, 50)));
    assert_eq!(memory.names, 1);
    memory.begin(clock(300));
    assert!(is_skipped(&mut memory, "a", &seen(2, 50)));
    assert!(memory.has_skipped(b"a") && !memory.has_skipped(b"c"));
    memory.end(false);
    assert!(!is_skipped(&mut memory, "a", &seen(2, 50)));
}

#[test]
fn a_wall_clock_that_is_set_back_makes_everything_be_read_once() {
    let mut memory = FolderMemory::default();
    scan(&mut memory, 100, &[("a", seen(2, 50), &[])]);
    memory.begin(ScanClock { ahead_ms: -400, ..clock(150) });
    assert!(is_skipped(&mut memory, "a", &seen(2, 50)), "a step of its correction");
    memory.begin(ScanClock { ahead_ms: -600, ..clock(150) });
    assert!(!is_skipped(&mut memory, "a", &seen(2, 50)));
    memory.read(b"a", seen(2, 50), false);
    memory.was_the_same(b"a", &[]);
    memory.end(true);
    memory.begin(ScanClock { ahead_ms: -600, ..clock(200) });
    assert!(is_skipped(&mut memory, "a", &seen(2, 50)));
}

#[test]
fn a_memory_that_is_full_reads_what_is_beyond() {
    let mut memory = FolderMemory::of(2);
    let all: [(&str, FolderSeen, &[&str]); 4] = [
        ("", seen(1, 50), &["a", "b", "c"]),
        ("a", seen(2, 50), &["x"]),
        ("b", seen(3, 50), &[]),
        ("c", seen(4, 50), &[]),
    ];
    scan(&mut memory, 100, &all);
    let skipped = all.iter().filter(|(folder, seen, _)| is_skipped(&mut memory, folder, seen));
    assert_eq!(skipped.map(|(folder, ..)| *folder).collect::<Vec<_>>(), ["a"]);
}
