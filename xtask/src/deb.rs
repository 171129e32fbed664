//! `cargo xtask deb`: the Debian package, made by `dpkg-deb` alone.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::cargo;

/// Builds the program for shipping, then the package.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let output = match args {
        [] => "target/deb",
        ["--output", folder] => folder,
        _ => bail!("cargo xtask deb [--output FOLDER]"),
    };
    cargo::run(&["build", "--profile", "dist", "-p", "focus-server"])?;
    let package = build(Path::new(output), Path::new("target/dist/focus"), false)?;
    println!("{}", package.display());
    Ok(())
}

/// Makes the package from this program; `strip` removes its symbols first.
pub(crate) fn build(output: &Path, binary: &Path, strip: bool) -> anyhow::Result<PathBuf> {
    let tree = output.join("focus-server");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let program = tree.join("usr/bin/focus");
    put(&program, &fs::read(binary)?, 0o755)?;
    if strip {
        output_of(Command::new("strip").arg(&program))?;
    }
    let doc = tree.join("usr/share/doc/focus-server");
    let version = version()?;
    let text = |name: &str| -> anyhow::Result<String> {
        let path = Path::new("deploy/debian").join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.replace("@VERSION@", &version))
    };
    put(&doc.join("copyright"), text("copyright")?.as_bytes(), 0o644)?;
    put(&doc.join("changelog.gz"), &gzip(text("changelog")?.as_bytes())?, 0o644)?;
    let overrides = tree.join("usr/share/lintian/overrides/focus-server");
    put(&overrides, text("lintian-overrides")?.as_bytes(), 0o644)?;
    put(&doc.join("NEWS.gz"), &gzip(&fs::read("CHANGELOG.md")?)?, 0o644)?;
    put(&doc.join("configuration.md.gz"), &gzip(&fs::read("docs/configuration.md")?)?, 0o644)?;
    put(&tree.join("etc/focus/focus.toml"), text("focus.toml")?.as_bytes(), 0o644)?;
    let unit = fs::read("deploy/systemd/focus.service")?;
    put(&tree.join("lib/systemd/system/focus.service"), &unit, 0o644)?;
    let manual = output_of(Command::new(binary).arg("man"))?;
    put(&tree.join("usr/share/man/man1/focus.1.gz"), &gzip(&manual)?, 0o644)?;
    let completions = output_of(Command::new(binary).args(["completions", "bash"]))?;
    put(&tree.join("usr/share/bash-completion/completions/focus"), &completions, 0o644)?;
    let size = size_kib(&tree)?;
    let architecture = output_of(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = String::from_utf8(architecture)?.trim().to_owned();
    let control = text("control")?
        .replace("@ARCHITECTURE@", &architecture)
        .replace("@SIZE@", &size.to_string())
        .replace("@DEPENDS@", &depends(&fs::read(&program)?)?);
    let meta = tree.join("DEBIAN");
    put(&meta.join("md5sums"), &sums(&tree)?, 0o644)?;
    put(&meta.join("control"), control.as_bytes(), 0o644)?;
    put(&meta.join("conffiles"), b"/etc/focus/focus.toml\n", 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        put(&meta.join(script), text(script)?.as_bytes(), 0o755)?;
    }
    let package = output.join(format!("focus-server_{version}_{architecture}.deb"));
    output_of(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .arg(&tree)
            .arg(&package),
    )?;
    Ok(package)
}

/// The workspace's version.
fn version() -> anyhow::Result<String> {
    let manifest = fs::read_to_string("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    let version = line.and_then(|rest| rest.split('"').next());
    Ok(version.context("Cargo.toml names no version")?.to_owned())
}

/// The packages that the program is linked against, from the versions of the symbols that it names.
fn depends(program: &[u8]) -> anyhow::Result<String> {
    let text = String::from_utf8_lossy(program);
    let newest = text
        .match_indices("GLIBC_2.")
        .filter_map(|(at, found)| {
            let rest = &text[at + found.len()..];
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse::<u32>().ok()
        })
        .max()
        .context("the program names no version of the C library")?;
    let unwinder = if text.contains("libgcc_s.so.1") { ", libgcc-s1 (>= 4.2)" } else { "" };
    Ok(format!("libc6 (>= 2.{newest}){unwinder}"))
}

/// Writes a file below the tree, its folders with it, with this mode whatever the umask is.
fn put(file: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let told = || file.display().to_string();
    let folder = file.parent().with_context(told)?;
    fs::create_dir_all(folder).with_context(told)?;
    for folder in file.ancestors().skip(1).take_while(|folder| !folder.ends_with("focus-server")) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).with_context(told)?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).with_context(told)?;
    fs::write(file, bytes).with_context(told)?;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).with_context(told)
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["-9", "--no-name"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip")?;
    let mut input = child.stdin.take().context("gzip")?;
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output()?;
    match writing.join() {
        Ok(Ok(())) if output.status.success() => Ok(output.stdout),
        _ => bail!("gzip failed"),
    }
}

fn output_of(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// All files below the tree, by their paths in it.
fn files(tree: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(tree)?.to_owned()),
            }
        }
    }
    found.sort();
    Ok(found)
}

fn size_kib(tree: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in files(tree)? {
        bytes += fs::metadata(tree.join(file))?.len();
    }
    Ok(bytes.div_ceil(1024))
}

fn sums(tree: &Path) -> anyhow::Result<Vec<u8>> {
    // Those under /etc are kept apart, by dpkg itself.
    let files = files(tree)?.into_iter().filter(|file| !file.starts_with("etc"));
    output_of(Command::new("md5sum").args(files).current_dir(tree))
}
