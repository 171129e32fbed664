//! The built binary, run as a user runs it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::wait::until;

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header's value; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct Focus {
    /// The command that runs the binary: empty, or a program and its arguments.
    pub by: Vec<String>,
    binary: PathBuf,
    args: Vec<String>,
    state: PathBuf,
    child: Option<Child>,
}

impl Focus {
    /// The server of this binary on this root and state folder; `extra` are further arguments.
    pub fn new(binary: &str, root: &Path, state: &Path, extra: &[&str]) -> Focus {
        let mut args: Vec<String> =
            ["--root", &root.display().to_string(), "--state-dir"].map(str::to_owned).to_vec();
        args.push(state.display().to_string());
        args.extend(extra.iter().map(|arg| (*arg).to_owned()));
        Focus {
            by: Vec::new(),
            binary: PathBuf::from(binary),
            args,
            state: state.to_owned(),
            child: None,
        }
    }

    /// The server of this binary on this state folder, with these arguments and no others.
    pub fn with_args(binary: &str, state: &Path, args: &[&str]) -> Focus {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Focus {
            by: Vec::new(),
            binary: PathBuf::from(binary),
            args,
            state: state.to_owned(),
            child: None,
        }
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// The binary cannot be run.
    pub fn run(&self, command: &[&str]) -> Output {
        Command::new(&self.binary)
            .args(command)
            .args(&self.args)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs")
    }

    /// Starts `serve` and waits until it answers.
    ///
    /// # Panics
    /// It does not within 20 s.
    pub async fn serve(&mut self) {
        self.spawn();
        until("the server answers", Duration::from_secs(20), || async { self.answers() }).await;
    }

    /// The server that was started answers.
    ///
    /// # Errors
    /// It does not, yet.
    pub fn answers(&self) -> Result<(), String> {
        let server = self.server()?;
        if server["pid"].as_u64() != self.pid().map(u64::from) {
            return Err(format!("{server}\n{}", self.log()));
        }
        self.get("/ack").map(|_| ())
    }

    /// Starts `serve` and does not wait.
    ///
    /// # Panics
    /// The binary cannot be run.
    pub fn spawn(&mut self) {
        std::fs::create_dir_all(&self.state).expect("a state folder");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.state.join("serve.log"))
            .expect("a log");
        let mut words: Vec<&OsStr> = self.by.iter().map(OsStr::new).collect();
        words.push(self.binary.as_os_str());
        let child = Command::new(words[0])
            .args(&words[1..])
            .arg("serve")
            .args(&self.args)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        self.child = Some(child);
    }

    /// How it ended, once it has by itself.
    ///
    /// # Panics
    /// It is not running.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut().expect("a server");
        let ended = child.try_wait().expect("its state")?;
        self.child = None;
        Some(ended)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.join("serve.log")).unwrap_or_default()
    }

    fn server(&self) -> Result<Value, String> {
        let text = std::fs::read(self.seen(&self.state.join("server.json")))
            .map_err(|error| format!("{error}\n{}", self.log()))?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Stops it in its tracks.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end, and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to read its settings again, and does not wait.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it in order; its exit code.
    ///
    /// # Panics
    /// It is not running.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("a running server");
        child.wait().expect("its end").code()
    }

    /// The body of an answer to GET.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub fn get(&self, path: &str) -> Result<String, String> {
        self.http("GET", path, "")
    }

    /// The body of an answer to POST.
    ///
    /// # Errors
    /// No answer, or another status than 200.
    pub fn post(&self, path: &str, body: &str) -> Result<String, String> {
        self.http("POST", path, body)
    }

    /// The status.
    ///
    /// # Errors
    /// No answer.
    pub fn status(&self) -> Result<Value, String> {
        serde_json::from_str(&self.get("/api/v1/status")?).map_err(|error| error.to_string())
    }

    /// Waits until a field of the status, or what a JSON pointer leads to, is as wanted.
    ///
    /// # Panics
    /// It is not within `limit`.
    pub async fn until_status(&self, field: &str, wanted: impl Into<Value>, limit: Duration) {
        let wanted = wanted.into();
        until(&format!("{field} is {wanted}"), limit, || async {
            let status = self.status()?;
            let there = if field.starts_with('/') {
                status.pointer(field).unwrap_or(&Value::Null)
            } else {
                &status[field]
            };
            if *there == wanted { Ok(()) } else { Err(format!("{status:#}\n{}", self.log())) }
        })
        .await;
    }

    /// A path as the server sees it: `by` may have given it mounts of its own.
    ///
    /// # Panics
    /// It is not absolute.
    pub fn seen(&self, path: &Path) -> PathBuf {
        match self.pid() {
            Some(pid) if !self.by.is_empty() => {
                let path = path.strip_prefix("/").expect("an absolute path");
                Path::new("/proc").join(pid.to_string()).join("root").join(path)
            }
            _ => path.to_owned(),
        }
    }

    /// The answer to a request; without the token where `token` is false.
    ///
    /// # Errors
    /// No answer.
    pub fn ask(&self, method: &str, path: &str, body: &str, token: bool) -> Result<Answer, String> {
        let server = self.server()?;
        let address = server["address"].as_str().unwrap_or_default();
        let token = if token { server["token"].as_str().unwrap_or_default() } else { "" };
        ask(address, method, path, body, token)
    }

    /// Has the server do a job, and waits for its end.
    ///
    /// # Errors
    /// It is not taken.
    ///
    /// # Panics
    /// It does not end within 60 s.
    pub async fn job(&self, path: &str, body: &str) -> Result<Value, String> {
        self.job_within(path, body, Duration::from_secs(60)).await
    }

    /// Has the server do a job that may take so long, and waits for its end.
    ///
    /// # Errors
    /// It is not taken.
    ///
    /// # Panics
    /// It does not end within `limit`.
    pub async fn job_within(
        &self,
        path: &str,
        body: &str,
        limit: Duration,
    ) -> Result<Value, String> {
        let taken = self.ask("POST", path, body, true)?;
        if taken.status != 202 {
            return Err(format!("{taken:?}"));
        }
        let at = taken.header("location").unwrap_or_default().to_owned();
        let job = || -> Result<Value, String> {
            serde_json::from_str(&self.get(&at)?).map_err(|error| error.to_string())
        };
        until("the job has ended", limit, || async {
            let job = job()?;
            let goes_on = job["state"] == "queued" || job["state"] == "running";
            if goes_on { Err(format!("{job:#}\n{}", self.log())) } else { Ok(()) }
        })
        .await;
        job()
    }

    /// The address that it serves on, host and port.
    ///
    /// # Errors
    /// It does not serve.
    pub fn address(&self) -> Result<String, String> {
        Ok(self.server()?["address"].as_str().unwrap_or_default().to_owned())
    }

    fn http(&self, method: &str, path: &str, body: &str) -> Result<String, String> {
        let answer = self.ask(method, path, body, true)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(format!("{answer:?}")) }
    }
}

/// The answer of an HTTP server to a request.
///
/// # Errors
/// No answer.
pub fn ask(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
    token: &str,
) -> Result<Answer, String> {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

impl Drop for Focus {
    fn drop(&mut self) {
        self.kill();
    }
}
