//! The fuzzer's corpus without the fuzzer: every mistake that it found stays mended.

use std::path::{Path, PathBuf};
use std::time::Instant;

use focus_checks::ALL;

/// All of it, so that it stays small enough to read.
const FILES_MAX: usize = 400;
const BYTES_MAX: usize = 300_000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name)
}

fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder(name)).expect("a folder of the corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
}

#[test]
fn every_input_of_the_corpus_has_its_properties() {
    for (name, check) in ALL {
        let inputs = inputs(name);
        assert!(inputs.len() >= 5, "the corpus of {name} has {} files", inputs.len());
        let began = Instant::now();
        for (path, bytes) in &inputs {
            // Told by the panic's own words which property, and by this which file.
            let checked = std::panic::catch_unwind(|| check(bytes));
            assert!(checked.is_ok(), "{}", path.display());
        }
        println!("{name}: {} inputs in {} ms", inputs.len(), began.elapsed().as_millis());
    }
}

#[test]
fn every_check_has_a_fuzz_target_of_its_name_and_the_corpus_stays_small() {
    let targets = folder("../fuzz_targets");
    let mut count = 0;
    for entry in std::fs::read_dir(&targets).expect("a folder of targets") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(ALL.iter().any(|(check, _)| *check == name), "{name} checks nothing known");
        let text = std::fs::read_to_string(&path).expect("a target");
        assert!(text.contains(&format!("focus_checks::{name}")), "{name} calls another check");
        count += 1;
    }
    assert_eq!(count, ALL.len());
    let all: Vec<_> = ALL.iter().flat_map(|(name, _)| inputs(name)).collect();
    let bytes: usize = all.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(all.len() <= FILES_MAX && bytes <= BYTES_MAX, "{} files, {bytes} bytes", all.len());
}
