//! `cargo xtask deploy`: chart, manifests, unit and package, checked by the tools that read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{cargo, deb, kubernetes};

/// The chart.
const CHART: &str = "deploy/helm/focus-server";

/// The release of Kubernetes that the chart is rendered for.
const RELEASE: &str = "1.34.2";

/// Values of the chart that between them render every template.
const EVERYTHING: &str = "deploy/helm/everything.yaml";

/// An exposure that `systemd-analyze security` may report at most, in tenths: 0 to 20 is "OK".
const EXPOSURE_MAX: &str = "20";

/// Checks chart, manifests, unit and package, with tools that the machine has or gets.
pub(crate) fn run() -> anyhow::Result<()> {
    kubernetes::ensure()?;
    let status = cargo::command()
        .args(["test", "--workspace", "--test", "deploy", "--", "--nocapture"])
        .env("FOCUS_TEST_LONG", "1")
        .status()?;
    if !status.success() {
        bail!("chart or manifests are refused by the API server");
    }
    cargo::run(&["build", "-p", "focus-server"])?;
    check()
}

/// Checks what the tests do not check: the chart's lint, the unit and the package. The control
/// plane's tools and the program's debug build have to be there.
pub(crate) fn check() -> anyhow::Result<()> {
    chart()?;
    let binary = fs::canonicalize("target/debug/focus").context("target/debug/focus")?;
    unit(&binary)?;
    package(&binary)?;
    println!("not run: the build of the Containerfile, whose base image comes from a registry");
    println!("not run: its program in a container's root: `cargo xtask deploy --container`");
    Ok(())
}

fn chart() -> anyhow::Result<()> {
    let helm = kubernetes::tool("helm").context("helm is not there")?;
    for values in [&[][..], &["--values", EVERYTHING]] {
        let lint = said_by(&helm, &[&["lint", "--strict", CHART][..], values].concat())?;
        print!("{lint}");
        let render = ["template", "check", CHART, "--kube-version", RELEASE];
        said_by(&helm, &[&render[..], values].concat())?;
    }
    println!("chart: helm lint and helm template are content");
    Ok(())
}

/// Checks the unit, with the built program in the place of the installed one.
fn unit(binary: &Path) -> anyhow::Result<()> {
    kubernetes::package("systemd-analyze", "systemd")?;
    let analyze = Path::new("systemd-analyze");
    let text = fs::read_to_string("deploy/systemd/focus.service")?;
    let folder = Path::new("target/deploy");
    fs::create_dir_all(folder)?;
    let unit = folder.join("focus.service");
    fs::write(&unit, text.replace("/usr/bin/focus", &binary.to_string_lossy()))?;
    let unit = unit.to_string_lossy().into_owned();
    // What it says of other units of this machine is no matter of ours.
    let output = Command::new(analyze).args(["verify", "--man=no", &unit]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("focus.service")).collect();
    if !output.status.success() || !ours.is_empty() {
        bail!("systemd-analyze verify: {said}");
    }
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let args = ["security", "--offline=true", "--no-pager", &threshold, &unit];
    let said = said_by(analyze, &args)?;
    let score = said.lines().last().unwrap_or_default();
    println!("unit: systemd-analyze verify is content; {}", score.trim_start_matches("→ "));
    Ok(())
}

fn package(binary: &Path) -> anyhow::Result<()> {
    kubernetes::package("lintian", "lintian")?;
    let package = deb::build(Path::new("target/deploy"), binary, true)?;
    let package = package.to_string_lossy().into_owned();
    let listed = said_by(Path::new("dpkg-deb"), &["--contents", &package])?;
    for file in [
        "./usr/bin/focus",
        "./lib/systemd/system/focus.service",
        "./etc/focus/focus.toml",
        "./usr/share/man/man1/focus.1.gz",
    ] {
        if !listed.lines().any(|line| line.ends_with(file)) {
            bail!("{file} is not in {package}");
        }
    }
    let said =
        said_by(Path::new("lintian"), &["--fail-on", "error,warning", "--allow-root", &package])?;
    print!("{said}");
    println!("package: lintian is content with {package}");
    Ok(())
}

/// What a container has: an empty root that may not be written to, devices, one folder of its own,
/// and a user without rights.
const IN_A_CONTAINER: &str = r#"
set -e
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount --bind "$1/state" "$1/state"
mount -o remount,ro,bind "$1"
if touch "$1/written" 2>/dev/null; then echo "the root can be written to" >&2; exit 1; fi
exec chroot --userspec=65532:65532 --groups= "$1" /focus demo --json
"#;

/// Builds the program as the `Containerfile` does, and lets its demo run in such a root. A build of
/// its own, so it takes as long as the first one.
pub(crate) fn container() -> anyhow::Result<()> {
    if said_by(Path::new("id"), &["-u"])?.trim() != "0" {
        bail!("only root may make a container's root: run this as root");
    }
    let told = said_by(Path::new("rustc"), &["-vV"])?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).context("no host")?;
    let status = cargo::command()
        .args(["build", "--release", "--locked", "-p", "focus-server", "--target", host])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", "target/static")
        .status()?;
    if !status.success() {
        bail!("the static program cannot be built");
    }
    let root = Path::new("target/deploy/root");
    for folder in ["dev", "proc", "state"] {
        fs::create_dir_all(root.join(folder))?;
    }
    std::os::unix::fs::chown(root.join("state"), Some(65532), Some(65532))?;
    let program = Path::new("target/static").join(host).join("release/focus");
    fs::copy(&program, root.join("focus"))?;
    let root = fs::canonicalize(root)?;
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", IN_A_CONTAINER, "sh"])
        .arg(&root)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("TMPDIR", "/state")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("in a container's root: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
    println!("container: the static program's demo in an empty, read-only root, as user 65532:");
    print!("{said}");
    Ok(())
}

/// Runs a tool and returns its output. The error holds everything that a failing tool printed.
fn said_by(program: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let name = program.file_name().map(PathBuf::from).unwrap_or_default();
        bail!(
            "{} {} failed:\n{said}{}",
            name.display(),
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(said)
}
