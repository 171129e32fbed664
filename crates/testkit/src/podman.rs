//! A real container engine with its API socket, for tests that stop and start containers.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Its runtime refuses machines that mount the second hierarchy of cgroups beside the first: in a mount
/// namespace of its own that one is not there.
const BEGIN: &str = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";

/// Podman, with everything of it in one folder; ended, with its containers, when dropped.
#[derive(Debug)]
pub struct Engine {
    dir: PathBuf,
    service: Child,
}

impl Engine {
    /// Starts one whose files are in this folder.
    ///
    /// # Errors
    /// Podman is not installed, or does not run here: why.
    pub fn start(dir: &Path) -> Result<Engine, String> {
        let told = |error: std::io::Error| error.to_string();
        std::fs::create_dir_all(dir).map_err(told)?;
        let log = std::fs::File::create(dir.join("podman.log")).map_err(told)?;
        let socket = format!("unix://{}", dir.join("api.sock").display());
        let service = podman(dir)
            .args(["system", "service", "--time", "0", &socket])
            .stdout(log.try_clone().map_err(told)?)
            .stderr(log)
            .spawn()
            .map_err(told)?;
        let mut engine = Engine { dir: dir.to_owned(), service };
        let until = Instant::now() + Duration::from_secs(20);
        while engine.ask("GET", "/_ping").is_err() {
            let log = std::fs::read_to_string(dir.join("podman.log")).unwrap_or_default();
            if let Ok(Some(ended)) = engine.service.try_wait() {
                return Err(format!("podman ended with {ended}: {log}"));
            }
            if Instant::now() >= until {
                return Err(format!("podman does not answer after 20 s: {log}"));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(engine)
    }

    /// Its API.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("api.sock")
    }

    /// Makes a container out of nothing but this program and its libraries, on the machine's own network;
    /// it is not started. `flags` are `podman create`'s.
    ///
    /// # Errors
    /// The engine does not make it: its words.
    pub fn create(
        &self,
        name: &str,
        program: &Path,
        arguments: &[&str],
        flags: &[&str],
    ) -> Result<(), String> {
        let root = self.dir.join(format!("root-{name}"));
        furnish(&root, program).map_err(|error| error.to_string())?;
        let mut command = podman(&self.dir);
        command
            .args(["create", "--name", name, "--network", "host", "--cgroups", "disabled"])
            .args(["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1000:1000"])
            .args(flags)
            .arg("--rootfs")
            .arg(&root)
            .arg("/program")
            .args(arguments);
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(format!("{output:?}")) }
    }

    /// One request to its API: status and body.
    ///
    /// # Errors
    /// No answer.
    pub fn ask(&self, method: &str, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status, body.to_owned()))
    }

    /// Runs the engine's own command.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn run(&self, words: &[&str]) -> Output {
        podman(&self.dir).args(words).output().expect("podman runs")
    }
}

/// The engine's command, on the files in this folder.
fn podman(dir: &Path) -> Command {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root { "unshare" } else { "sh" });
    if is_root {
        command.args(["-m", "sh"]);
    }
    command.args(["-c", BEGIN, "sh", "podman", "--root"]).arg(dir.join("store"));
    command.arg("--runroot").arg(dir.join("run"));
    command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
    command.args(["--events-backend", "file"]).stdin(Stdio::null());
    command
}

/// A folder that holds this program, as `/program`, with the libraries it needs, and nothing else.
fn furnish(root: &Path, program: &Path) -> std::io::Result<()> {
    for folder in ["data", "tmp", "proc", "sys", "dev", "etc", "run"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::copy(program, root.join("program"))?;
    let needed = Command::new("ldd").arg(program).output()?;
    let needed = String::from_utf8_lossy(&needed.stdout).into_owned();
    for library in needed.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(library.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap_or(root))?;
        std::fs::copy(library, to)?;
    }
    Ok(())
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = podman(&self.dir).args(["rm", "--force", "--all", "--time", "0"]).output();
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}
