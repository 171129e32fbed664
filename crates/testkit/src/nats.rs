//! A NATS server of a test's own, and a publisher that speaks its protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::broker::{free_port, installed};
use crate::wait::until;

/// A server with JetStream; it ends when it is dropped.
#[derive(Debug)]
pub struct NatsServer {
    program: PathBuf,
    port: u16,
    data: TempDir,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one; none where it is not installed.
    pub async fn start() -> Option<NatsServer> {
        NatsServer::start_with("").await
    }

    /// Starts one with this configuration.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(configuration: &str) -> Option<NatsServer> {
        let program = installed("nats-server")?;
        let data = TempDir::new().expect("a folder");
        std::fs::write(data.path().join("conf"), configuration).expect("a configuration");
        let mut server = NatsServer { program, port: free_port(), data, child: None };
        server.restart().await;
        Some(server)
    }

    /// Its address, host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port and data.
    ///
    /// # Panics
    /// It does not answer within 20 s.
    pub async fn restart(&mut self) {
        self.kill();
        let log = std::fs::File::create(self.data.path().join("log")).expect("a log");
        let child = Command::new(&self.program)
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"])
            .arg(self.data.path().join("js"))
            .arg("-c")
            .arg(self.data.path().join("conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the server starts"));
        until("the NATS server answers", Duration::from_secs(20), || async {
            self.session(|_| Ok(())).map_err(|error| error.to_string())
        })
        .await;
    }

    /// Publishes a message; it has been taken when this returns.
    ///
    /// # Panics
    /// The server does not take it.
    pub fn publish(&self, subject: &str, headers: &[(&str, &str)], body: &[u8]) {
        let publish = |stream: &mut Stream| stream.publish(subject, None, headers, body);
        self.session(publish).expect("published");
    }

    /// Publishes a message whose headers are these bytes.
    ///
    /// # Panics
    /// The server does not take it.
    pub fn publish_headed(&self, subject: &str, head: &str, body: &str) {
        let (length, all) = (head.len(), head.len() + body.len());
        let message = format!("HPUB {subject} {length} {all}\r\n{head}{body}\r\n");
        self.session(|stream| stream.send(message.as_bytes())).expect("published");
    }

    /// Publishes many messages.
    ///
    /// # Panics
    /// The server does not take them.
    pub fn publish_all<'a>(&self, subject: &str, bodies: impl Iterator<Item = &'a str>) {
        let mut bodies = bodies;
        let publish = |stream: &mut Stream| {
            bodies.try_for_each(|body| stream.publish(subject, None, &[], body.as_bytes()))
        };
        self.session(publish).expect("published");
    }

    /// Makes a stream of JetStream with these subjects.
    ///
    /// # Panics
    /// The server does not make it.
    pub fn make_stream(&self, name: &str, subject: &str) {
        let body = format!(r#"{{"name": "{name}", "subjects": ["{subject}"], "storage": "file"}}"#);
        let call = format!("$JS.API.STREAM.CREATE.{name}");
        let answer = self.session(|stream| {
            stream.send(b"SUB answers 1\r\n")?;
            stream.publish(&call, Some("answers"), &[], body.as_bytes())?;
            stream.message()
        });
        let answer = answer.expect("an answer");
        assert!(!answer.contains("\"error\""), "{answer}");
    }

    fn session<T>(
        &self,
        mut work: impl FnMut(&mut Stream) -> std::io::Result<T>,
    ) -> std::io::Result<T> {
        let stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let reader = BufReader::new(stream.try_clone()?);
        let mut stream = Stream { stream, reader };
        stream.send(b"CONNECT {\"verbose\":false,\"headers\":true}\r\n")?;
        let worked = work(&mut stream)?;
        stream.send(b"PING\r\n")?;
        while !stream.line()?.starts_with("PONG") {}
        Ok(worked)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Stream {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Stream {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn publish(
        &mut self,
        subject: &str,
        answer: Option<&str>,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<()> {
        let answer = answer.map_or_else(String::new, |answer| format!("{answer} "));
        let mut message = if headers.is_empty() {
            format!("PUB {subject} {answer}{}\r\n", body.len())
        } else {
            let lines: String =
                headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("NATS/1.0\r\n{lines}\r\n");
            let (length, all) = (head.len(), head.len() + body.len());
            format!("HPUB {subject} {answer}{length} {all}\r\n{head}")
        }
        .into_bytes();
        message.extend_from_slice(body);
        message.extend_from_slice(b"\r\n");
        self.send(&message)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line.starts_with("-ERR") {
            return Err(std::io::Error::other(line));
        }
        Ok(line)
    }

    fn message(&mut self) -> std::io::Result<String> {
        loop {
            let line = self.line()?;
            if !line.starts_with("MSG ") {
                continue;
            }
            let length = line.trim().rsplit(' ').next().and_then(|length| length.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            self.reader.read_exact(&mut body)?;
            return Ok(String::from_utf8_lossy(&body).into_owned());
        }
    }
}
