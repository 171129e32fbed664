//! A real systemd, as a user's manager, for tests that stop and start units.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where Debian, Fedora and Arch keep it.
const PROGRAMS: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// It refuses to run where the machine was not booted with systemd, and looks for this folder to know.
/// A mount namespace of its own has it, whatever the machine has.
const BEGIN: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec \"$@\"";

/// A manager of units of this test's own; ended, with its units, when dropped.
#[derive(Debug)]
pub struct UserManager {
    child: Child,
    runtime: PathBuf,
    config: PathBuf,
}

impl UserManager {
    /// Starts one whose files are in this folder.
    ///
    /// # Errors
    /// systemd is not installed, or does not run here: why.
    pub fn start(dir: &Path) -> Result<UserManager, String> {
        let program = PROGRAMS.into_iter().find(|program| Path::new(program).exists());
        let program = program.ok_or("systemd is not installed")?;
        let (runtime, config) = (dir.join("run"), dir.join("config"));
        let told = |error: std::io::Error| error.to_string();
        std::fs::create_dir_all(&runtime).map_err(told)?;
        std::fs::create_dir_all(config.join("systemd/user")).map_err(told)?;
        set_private(&runtime).map_err(told)?;
        let log = std::fs::File::create(dir.join("systemd.log")).map_err(told)?;
        let own = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
        let child = Command::new("unshare")
            .args([own, "sh", "-c", BEGIN, "sh", program, "--user", "--unit=basic.target"])
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("XDG_CONFIG_HOME", &config)
            .env("SYSTEMD_LOG_TARGET", "console")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(told)?)
            .stderr(log)
            .spawn()
            .map_err(told)?;
        let mut manager = UserManager { child, runtime, config };
        let until = Instant::now() + Duration::from_secs(15);
        while !manager.systemctl(&["is-active", "basic.target"]).status.success() {
            if let Ok(Some(ended)) = manager.child.try_wait() {
                let log = std::fs::read_to_string(dir.join("systemd.log")).unwrap_or_default();
                return Err(format!("systemd ended with {ended}: {log}"));
            }
            if Instant::now() >= until {
                return Err("systemd has not started after 15 s".to_owned());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(manager)
    }

    /// Where it is found: `XDG_RUNTIME_DIR`.
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime
    }

    /// Makes, or replaces, a unit.
    ///
    /// # Panics
    /// The disk does not take it.
    pub fn unit(&self, name: &str, text: &str) {
        std::fs::write(self.config.join("systemd/user").join(name), text).expect("a unit");
        let output = self.systemctl(&["daemon-reload"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Runs `systemctl --user`.
    ///
    /// # Panics
    /// It is not installed.
    pub fn systemctl(&self, words: &[&str]) -> Output {
        Command::new("systemctl")
            .arg("--user")
            .args(words)
            .env("XDG_RUNTIME_DIR", &self.runtime)
            .stdin(Stdio::null())
            .output()
            .expect("systemctl runs")
    }
}

fn set_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

impl Drop for UserManager {
    fn drop(&mut self) {
        // Units first: what a killed manager leaves goes on.
        let _ = self.systemctl(&["stop", "--", "*.service"]);
        let _ = self.systemctl(&["exit"]);
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
