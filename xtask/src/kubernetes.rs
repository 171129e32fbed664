//! A Kubernetes control plane for the tests: built once per machine, from its own sources.
//!
//! No container runtime is needed: the API server and the controller manager are plain programs,
//! and the testkit's node agent stands in for the kubelet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::database::{on_path, tools};

/// The release of Kubernetes, and that of its libraries.
const RELEASE: &str = "1.34.2";
const LIBRARIES: &str = "v0.34.2";

/// Programs of the control plane, built from `k8s.io/kubernetes`.
const PROGRAMS: [&str; 2] = ["kube-apiserver", "kube-controller-manager"];

/// Tools that `go install` brings: program, package, version, linker flags.
const TOOLS: [(&str, &str, &str, &str); 2] = [
    (
        "helm",
        "helm.sh/helm/v3/cmd/helm",
        "v3.19.2",
        "-s -w -X helm.sh/helm/v3/internal/version.version=v3.19.2",
    ),
    ("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", "v0.7.0", "-s -w"),
];

/// Finds the control plane and its tools, or installs them, and returns their name for people.
pub(crate) fn ensure() -> anyhow::Result<String> {
    let bin = tools().join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("making {}", bin.display()))?;
    let unbuilt: Vec<&str> =
        PROGRAMS.into_iter().filter(|program| !bin.join(program).is_file()).collect();
    let uninstalled: Vec<_> = TOOLS
        .iter()
        .filter(|(program, ..)| on_path(program).is_none() && !bin.join(program).is_file())
        .collect();
    if !unbuilt.is_empty() || !uninstalled.is_empty() {
        go_is_there()?;
    }
    package("etcd", "etcd-server")?;
    package("openssl", "openssl")?;
    for (program, package, version, flags) in uninstalled {
        println!("installing {program} {version} once for this machine");
        let status = Command::new("go")
            .args(["install", "-ldflags", flags, &format!("{package}@{version}")])
            .env("GOBIN", &bin)
            .env("CGO_ENABLED", "0")
            .status()?;
        if !status.success() {
            bail!("{program} could not be installed: put {program} {version} on the PATH");
        }
    }
    if !unbuilt.is_empty() {
        println!("building Kubernetes {RELEASE} once for this machine (8 minutes on 2 cores)");
        build(&bin).context("the control plane for tests could not be built")?;
    }
    Ok(format!("a control plane of Kubernetes {RELEASE} ({})", bin.display()))
}

/// A tool that `ensure` installed, or that was there.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    on_path(name).or_else(|| Some(tools().join("bin").join(name)).filter(|file| file.is_file()))
}

/// Kubernetes needs a recent Go, newer than Debian's.
fn go_is_there() -> anyhow::Result<()> {
    if on_path("go").is_none() {
        bail!(
            "the Kubernetes tests need Go 1.24 or newer on the PATH, once, to build a control plane; or leave them out: `cargo xtask test` without --all"
        );
    }
    Ok(())
}

/// Makes sure of a Debian package's program: it installs the package with `CI` set, and names it
/// otherwise.
pub(crate) fn package(program: &str, package: &str) -> anyhow::Result<()> {
    if on_path(program).is_some() {
        return Ok(());
    }
    if std::env::var_os("CI").is_none() {
        bail!("{program} is missing: `apt-get install {package}`, then run this again");
    }
    for args in [&["update"][..], &["install", "-y", "--no-install-recommends", package]] {
        let status = Command::new("apt-get").args(args).status().context("apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed: install {package} by hand", args.join(" "));
        }
    }
    Ok(())
}

/// Builds the control plane in a module of our own: `k8s.io/kubernetes` names its libraries by
/// folders of its own repository, so each is replaced by the release of the same day.
fn build(bin: &Path) -> anyhow::Result<()> {
    let folder = bin.with_file_name("control-plane");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let module = format!("k8s.io/kubernetes@v{RELEASE}");
    let told = go(&folder, &["mod", "download", "-json", &module])?;
    let go_mod = field(&told, "GoMod").context("go named no go.mod")?;
    let theirs = fs::read_to_string(&go_mod).with_context(|| go_mod.clone())?;
    fs::write(folder.join("go.mod"), our_module(&theirs)?)?;
    let imports: String = PROGRAMS
        .iter()
        .map(|program| format!("\t_ \"k8s.io/kubernetes/cmd/{program}\"\n"))
        .collect();
    let source = format!("//go:build programs\n\npackage programs\n\nimport (\n{imports})\n");
    fs::write(folder.join("programs.go"), source)?;
    go(&folder, &["mod", "tidy"])?;
    let version = "-X k8s.io/component-base/version";
    let flags =
        format!("-s -w {version}.gitVersion=v{RELEASE} {version}.gitMajor=1 {version}.gitMinor=34");
    for program in PROGRAMS {
        let output = folder.join(program);
        go(
            &folder,
            &[
                "build",
                "-trimpath",
                "-ldflags",
                &flags,
                "-o",
                &output.to_string_lossy(),
                &format!("k8s.io/kubernetes/cmd/{program}"),
            ],
        )?;
        // In place only once it is whole, so that a build cut off is begun again.
        fs::rename(&output, bin.join(program))?;
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Our `go.mod`, from theirs.
fn our_module(theirs: &str) -> anyhow::Result<String> {
    let libraries: Vec<&str> = theirs
        .lines()
        .filter_map(|line| line.trim().split_once(" => ./staging/src/"))
        .map(|(name, _)| name.trim())
        .collect();
    let go = theirs.lines().find(|line| line.starts_with("go ")).context("no Go version in it")?;
    if libraries.is_empty() {
        bail!("k8s.io/kubernetes v{RELEASE} names no libraries of its own");
    }
    let replaced: String =
        libraries.iter().map(|name| format!("\t{name} => {name} {LIBRARIES}\n")).collect();
    Ok(format!(
        "module focus-server.test/control-plane\n\n{go}\n\nrequire k8s.io/kubernetes v{RELEASE}\n\nreplace (\n{replaced})\n"
    ))
}

/// Runs `go` there, and gives back what it printed.
fn go(folder: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("go")
        .args(args)
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .output()
        .context("go")?;
    if !output.status.success() {
        bail!("go {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A text field of a flat JSON object.
fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\": \""))?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_of_kubernetes_is_replaced_by_its_release() {
        let theirs = "module k8s.io/kubernetes\n\ngo 1.24.0\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/kms => ./staging/src/k8s.io/kms\n)\n";
        let ours = our_module(theirs).expect("a module");
        assert!(ours.contains("\nrequire k8s.io/kubernetes v1.34.2\n"), "{ours}");
        assert!(ours.contains("\tk8s.io/api => k8s.io/api v0.34.2\n"), "{ours}");
        assert!(ours.contains("\tk8s.io/kms => k8s.io/kms v0.34.2\n"), "{ours}");
        assert!(our_module("module k8s.io/kubernetes\n\ngo 1.24.0\n").is_err());
    }
}
