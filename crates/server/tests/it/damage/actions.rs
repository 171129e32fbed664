//! What is done to a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Removed,
    Emptied,
    Cut,
    FirstFlipped,
    MiddleFlipped,
    Overwritten,
    Folder,
    Shut,
    Link,
}

impl Action {
    /// All of them.
    pub(crate) const ALL: [Action; 9] = [
        Action::Removed,
        Action::Emptied,
        Action::Cut,
        Action::FirstFlipped,
        Action::MiddleFlipped,
        Action::Overwritten,
        Action::Folder,
        Action::Shut,
        Action::Link,
    ];

    /// Does it.
    pub(crate) fn strike(self, path: &Path) {
        let mut bytes = fs::read(path).expect("the file");
        let half = bytes.len() / 2;
        match self {
            Action::Removed => fs::remove_file(path).expect("removed"),
            Action::Emptied => overwrite(path, b""),
            Action::Cut => overwrite(path, &bytes[..half]),
            Action::FirstFlipped => {
                bytes.iter_mut().take(16).for_each(|byte| *byte = !*byte);
                overwrite(path, &bytes);
            }
            Action::MiddleFlipped => {
                bytes.iter_mut().skip(half).take(64).for_each(|byte| *byte = !*byte);
                overwrite(path, &bytes);
            }
            Action::Overwritten => {
                let mut state = 7_u64;
                for byte in &mut bytes {
                    // An old and simple generator: nothing here needs a good one.
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *byte = state.to_be_bytes()[0];
                }
                overwrite(path, &bytes);
            }
            Action::Folder => {
                fs::remove_file(path).expect("removed");
                fs::create_dir(path).expect("a folder");
            }
            Action::Shut => set_mode(path, 0o000),
            Action::Link => {
                let elsewhere = path.with_file_name("elsewhere");
                fs::write(&elsewhere, "hello\n").expect("written");
                set_mode(&elsewhere, 0o666);
                fs::remove_file(path).expect("removed");
                std::os::unix::fs::symlink(&elsewhere, path).expect("a link");
            }
        }
    }
}

/// Flips some bits of some bytes, at places that follow from the seed.
pub(crate) fn flip(bytes: &mut [u8], seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..1 + seed % 8 {
        let at = random.usize(..bytes.len());
        bytes[at] ^= random.u8(1..);
    }
}

/// The file keeps its owner and permissions.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

/// The file as it was, whatever is in its place.
pub(crate) fn restore(path: &Path, bytes: &[u8]) {
    let there = fs::symlink_metadata(path);
    match there {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).expect("removed"),
        Ok(_) => fs::remove_file(path).expect("removed"),
        Err(_) => {}
    }
    // Beside it and then moved into place, as people do it.
    let part = path.with_extension("restored");
    fs::write(&part, bytes).expect("written");
    set_mode(&part, 0o666);
    fs::rename(part, path).expect("moved");
}
