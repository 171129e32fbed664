//! `cargo xtask browser`: the page in a real browser, alone. What that needs is installed once per machine: chromium
//! and Node by the system's packages, what drives and what judges pages by npm, into a folder of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::cargo;
use crate::database::{self, tools};
use crate::kubernetes::package;

/// The files that say what npm installs, to the byte.
const FOLDER: &str = "crates/server/tests/browser";
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// The oldest Node that drives the browser.
const NODE_MIN: u32 = 20;

/// The tests, by the names of their scenes.
const SCENES: [(&str, &str); 8] = [
    ("outage", "every_number_of_every_page"),
    ("live", "what_moves_on_a_page"),
    ("links", "a_link_shows_the_same"),
    ("looks", "every_page_in_every_state"),
    ("empty", "every_page_of_an_empty_server"),
    ("other-site", "a_page_of_another_site"),
    ("weight", "a_page_without_data"),
    ("lasting", "a_page_that_stays_open"),
];

/// Runs all scenes, or one; `--minutes N` says how long the page of `lasting` stays open. With `weight --server` the
/// pages of a server that runs are measured, whatever it holds.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let (scene, minutes) = match *args {
        [] => (None, None),
        ["weight", "--server", address] => return weigh(address),
        [scene] => (Some(scene), None),
        [scene, "--minutes", minutes] => (Some(scene), Some(minutes)),
        _ => bail!("cargo xtask browser [SCENE] [--minutes N], or weight --server HOST:PORT"),
    };
    let names = SCENES.map(|(name, _)| name).join(", ");
    let filter = match scene {
        None => "",
        Some(wanted) => {
            let found = SCENES.iter().find(|(name, _)| *name == wanted);
            found.with_context(|| format!("{wanted} is no scene: {names}"))?.1
        }
    };
    let minutes = minutes.unwrap_or("1");
    if minutes.parse::<u32>().is_err() {
        bail!("--minutes {minutes}: a whole number is needed");
    }
    println!("the browser tests run against {}", database::ensure()?);
    ensure()?;
    let passed = cargo::command()
        .args(["test", "-p", "focus-server", "--test", "it", &format!("browser::{filter}")])
        .args(["--", "--nocapture", "--test-threads", "2"])
        .env("FOCUS_TEST_LONG", "1")
        .env("FOCUS_BROWSER_MINUTES", minutes)
        .status()?
        .success();
    if !passed {
        bail!("the page is not as it should be: see above");
    }
    println!("pictures of what was looked at are in target/browser");
    Ok(())
}

/// Prints what the pages of this server weigh with its data, and when they are painted first.
fn weigh(address: &str) -> anyhow::Result<()> {
    ensure()?;
    let chromium = database::on_path("chromium").context("chromium is not on the PATH")?;
    let site = format!(
        "{{\"address\":\"{address}\",\"token\":\"\",\"pid\":0,\"kind\":\"full\",\"pictures\":\".\"}}"
    );
    let measured = Command::new("node")
        .arg(Path::new(FOLDER).join("run.mjs"))
        .arg("weight")
        .env("FOCUS_BROWSER_SITE", site)
        .env("FOCUS_BROWSER_TOOLS", tools().join("browser"))
        .env("FOCUS_BROWSER_CHROMIUM", chromium)
        .status()
        .context("node")?;
    if !measured.success() {
        bail!("the pages of {address} could not be measured: see above");
    }
    Ok(())
}

/// Installs what is missing.
pub(crate) fn ensure() -> anyhow::Result<()> {
    package("chromium", "chromium")?;
    package("node", "nodejs")?;
    package("npm", "npm")?;
    node_is_new_enough()?;
    let folder = tools().join("browser");
    let there = |name: &str| fs::read(folder.join(name)).ok();
    let wanted = |name: &str| {
        let path = Path::new(FOLDER).join(name);
        fs::read(&path).with_context(|| path.display().to_string())
    };
    let done = folder.join("installed");
    let mut is_same = done.is_file();
    for name in FILES {
        is_same &= there(name) == Some(wanted(name)?);
    }
    if is_same {
        return Ok(());
    }
    println!("installing what drives the browser once for this machine");
    fs::create_dir_all(&folder)?;
    let _ = fs::remove_file(&done);
    for name in FILES {
        fs::write(folder.join(name), wanted(name)?)?;
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-fund", "--silent"])
        .current_dir(&folder)
        .status()
        .context("npm")?;
    if !npm.success() {
        bail!("npm could not install what {FOLDER}/package.json names: see above");
    }
    // Last, so that an installation that was cut off is begun again.
    fs::write(&done, "")?;
    Ok(())
}

fn node_is_new_enough() -> anyhow::Result<()> {
    let told = Command::new("node").arg("--version").output().context("node")?;
    let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    if major(&told).is_none_or(|major| major < NODE_MIN) {
        bail!("node is {told}, and the browser tests need {NODE_MIN} or newer on the PATH");
    }
    Ok(())
}

/// The first number of a version such as `v20.1.0`.
fn major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{SCENES, major};

    #[test]
    fn a_version_begins_with_its_major_number() {
        assert_eq!([major("v20.20.2"), major("18"), major("")], [Some(20), Some(18), None]);
    }

    #[test]
    fn each_scene_is_the_beginning_of_one_test() {
        let tests = include_str!("../../crates/server/tests/it/browser.rs");
        for (name, beginning) in SCENES {
            assert_eq!(tests.matches(&format!("async fn {beginning}")).count(), 1, "{name}");
        }
        assert_eq!(tests.matches("#[tokio::test").count(), SCENES.len());
    }
}
