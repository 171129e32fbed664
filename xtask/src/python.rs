//! The Python packages that tests are checked against: programs of other people, beside ours, installed once per
//! machine into a folder of their own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::database::tools;
use crate::kubernetes::package;

/// What is installed, with the versions that the tests were written against.
const PACKAGES: &[&str] =
    &["standardwebhooks==1.1.0", "schemathesis==4.32.5", "rover==1.1.0", "sigmf==1.14.0"];

/// Installs what is missing, and returns the folder with the programs.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    let folder = tools().join("python");
    let (bin, done) = (folder.join("bin"), folder.join("packages"));
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(bin);
    }
    package("python3", "python3")?;
    println!("installing {} once for this machine", PACKAGES.join(", "));
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).status();
    if !made.context("python3")?.success() {
        bail!("python3 -m venv failed: `apt-get install python3-venv`, then run this again");
    }
    let pip = Command::new(bin.join("pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES)
        .status()
        .context("pip")?;
    if !pip.success() {
        bail!("pip could not install {}: see above", PACKAGES.join(", "));
    }
    std::fs::write(&done, wanted)?;
    Ok(bin)
}
