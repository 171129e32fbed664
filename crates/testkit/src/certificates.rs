//! Authorities of a test's own, and certificates that they sign, by the program `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::broker::installed;

/// An authority that has signed one certificate, for this machine.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    /// Makes one; none where openssl is not installed.
    ///
    /// # Panics
    /// The program does not make it.
    pub fn make() -> Option<Authority> {
        installed("openssl")?;
        let dir = TempDir::new().expect("a folder");
        let run = |line: &str| {
            let args = line.split(' ');
            let output = Command::new("openssl").args(args).current_dir(dir.path()).output();
            let output = output.expect("openssl runs");
            assert!(output.status.success(), "openssl {line}: {output:?}");
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
        run(&format!("req {key} -keyout key.pem -out request.pem -subj /CN=broker"));
        std::fs::write(dir.path().join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            .expect("written");
        run(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
        );
        Some(Authority { dir })
    }

    /// Its own certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The certificate that it has signed.
    pub fn certificate(&self) -> PathBuf {
        self.file("cert.pem")
    }

    /// The key of that one.
    pub fn key(&self) -> PathBuf {
        self.file("key.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
}
