//! A disk that fails: a file system on a loop device whose blocks cannot be read for a while. Every read of
//! them is an input/output error of the kernel's own.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::ledger;
use crate::site::{LIMIT, Site};

const COUNT: usize = 12;

/// Bytes of a block, and of the image.
const BLOCK: u64 = 1_024;
const IMAGE: u64 = 16 << 20;

/// What a program says where it succeeds.
fn said(command: &[&str]) -> Option<String> {
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let out = Command::new(command[0]).args(&command[1..]).env("PATH", path).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// A disk below the root, mounted for the server alone.
struct Disk {
    site: Site,
    image: PathBuf,
    /// What it holds while it is well.
    content: Vec<u8>,
    device: String,
}

impl Disk {
    /// A server on a root that is on a disk of its own; none where this machine does not let a test have one.
    async fn begin(test: &str) -> Option<Disk> {
        let mut site = Site::new(&[]);
        site.land(COUNT);
        let image = site.dir.path().join("image");
        fs::File::create(&image).and_then(|file| file.set_len(IMAGE)).expect("an image");
        let (root, path) = (site.tree.root().display().to_string(), image.display().to_string());
        let size = BLOCK.to_string();
        let make = ["mkfs.ext4", "-q", "-b", &size, "-O", "^has_journal,^metadata_csum"];
        let made = said(&[&make[..], &["-d", &root, &path]].concat());
        let tried = ["unshare", "-m", "mount", "-o", "loop,ro", &path, &root];
        if made.is_none() || said(&tried).is_none() {
            println!("left out, needs root, loop devices and ext4: {test}");
            return None;
        }
        let script = "mount -o loop,ro,errors=continue \"$0\" \"$1\" && shift 1 && exec \"$@\"";
        site.focus.by =
            ["unshare", "-m", "sh", "-c", script, &path, &root].map(str::to_owned).to_vec();
        site.focus.serve().await;
        ledger::settled(&site, COUNT).await;
        let device = said(&["losetup", "-n", "-O", "NAME", "-j", &path]).expect("a loop device");
        let content = fs::read(&image).expect("read");
        Some(Disk { site, image, content, device })
    }

    /// Runs a program among the server's mounts.
    fn inside(&self, command: &[&str]) -> Option<String> {
        let pid = self.site.focus.pid().expect("a server").to_string();
        said(&[&["nsenter", "-t", &pid, "-m"][..], command].concat())
    }

    /// From this block on nothing can be read any more, nor is it remembered.
    fn fail_from(&self, block: u64) {
        let file = fs::File::options().write(true).open(&self.image).expect("the image");
        file.set_len(block * BLOCK).expect("cut");
        let marker = format!("if={}", self.site.tree.root().join(".focus-root").display());
        self.inside(&["dd", &marker, "iflag=nocache", "count=0", "status=none"]);
        self.forget();
    }

    /// It is well again.
    fn mend(&self) {
        let file = fs::File::options().write(true).open(&self.image).expect("the image");
        file.write_all_at(&self.content, 0).expect("written");
        self.forget();
    }

    fn forget(&self) {
        said(&["blockdev", "--flushbufs", &self.device]).expect("flushed");
    }

    /// The first block of a folder.
    fn block_of(&self, folder: &str) -> u64 {
        let ask = format!("blocks \"{folder}\"");
        let blocks = said(&["debugfs", "-R", &ask, &self.image.display().to_string()]);
        let blocks = blocks.expect("debugfs runs");
        blocks.split_whitespace().next().and_then(|block| block.parse().ok()).expect("a block")
    }

    /// A whole look at storage, and nothing is gone, held or marked after it.
    fn nothing_is_gone(&self) {
        let looked = self.site.focus.ask("POST", "/api/v1/scan", "", true).expect("an answer");
        let status = self.site.focus.status().expect("a status");
        for field in ["vanished", "held", "deleted", "unrecognised", "unsettled"] {
            assert_eq!(status[field], 0, "{field}: {status:#}\n{}", looked.body);
        }
        assert_eq!(status["recordings"], COUNT, "{status:#}");
        let body = r#"{"start_time":0,"end_time":9999999999}"#;
        let rows = self.site.focus.post("/recordings_in_time_range", body).expect("an answer");
        let rows: Vec<Value> = serde_json::from_str(&rows).expect("rows");
        assert_eq!(rows.len(), COUNT, "queries go on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_read_is_an_outage_and_no_deletion() {
    let Some(mut disk) = Disk::begin("a disk that cannot be read").await else { return };
    for _ in 0..2 {
        disk.fail_from(0);
        let listed = disk.inside(&["ls", &disk.site.tree.root().display().to_string()]);
        assert_eq!(listed, None, "the kernel cannot read it");
        disk.site.focus.until_status("/roots/0/state", "unreadable", LIMIT).await;
        let status = disk.site.focus.status().expect("a status");
        let reason = status["roots"][0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("nput/output error"), "{status:#}");
        disk.nothing_is_gone();
        disk.mend();
        disk.site.focus.until_status("/roots/0/state", "present", LIMIT).await;
        disk.nothing_is_gone();
    }
    ledger::settled(&disk.site, COUNT).await;
    assert_eq!(disk.site.focus.stop(), Some(0));
    ledger::agrees(&disk.site, &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_read_is_told_and_proves_no_deletion() {
    let Some(mut disk) = Disk::begin("a folder that cannot be read").await else { return };
    disk.fail_from(disk.block_of("/day-00"));
    let folder = disk.site.tree.root().join("day-00").display().to_string();
    assert_eq!(disk.inside(&["ls", &folder]), None, "the kernel cannot read it");
    for _ in 0..3 {
        disk.nothing_is_gone();
        disk.site.focus.until_status("/roots/0/unreadable_folders", 1, LIMIT).await;
    }
    disk.mend();
    disk.nothing_is_gone();
    disk.site.focus.until_status("/roots/0/unreadable_folders", 0, LIMIT).await;
    ledger::settled(&disk.site, COUNT).await;
    assert_eq!(disk.site.focus.stop(), Some(0));
    ledger::agrees(&disk.site, &[], &[]);
}
