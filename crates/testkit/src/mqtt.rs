//! A mosquitto of a test's own, and a publisher that speaks MQTT 5.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::broker::{free_port, installed};
use crate::wait::until;

/// A broker that keeps its sessions; it ends when it is dropped.
#[derive(Debug)]
pub struct Mosquitto {
    program: PathBuf,
    port: u16,
    data: TempDir,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts one, with further lines of its configuration; none where it is not installed.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(configuration: &str) -> Option<Mosquitto> {
        let program = installed("mosquitto")?;
        let data = TempDir::new().expect("a folder");
        let port = free_port();
        let mut text = String::new();
        let folder = data.path().display();
        let access =
            if configuration.contains("allow_anonymous") { "" } else { "allow_anonymous true" };
        // As root it would become another user, who cannot write here.
        write!(
            text,
            "listener {port} 127.0.0.1\n{access}\nuser root\npersistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n{configuration}\n"
        )
        .expect("a text");
        std::fs::write(data.path().join("mosquitto.conf"), text).expect("a configuration");
        let mut broker = Mosquitto { program, port, data, child: None };
        broker.restart().await;
        Some(broker)
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
            .arg("-c")
            .arg(self.data.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the broker starts"));
        until("mosquitto answers", Duration::from_secs(20), || async {
            let log = || std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
            let answered = self.call("probe").map(drop);
            answered.map_err(|error| format!("{error}\n{}", log()))
        })
        .await;
    }

    /// Publishes messages with QoS 1 and these user properties; the broker has taken them when this returns.
    ///
    /// # Panics
    /// The broker does not take them.
    pub fn publish(&self, topic: &str, properties: &[(&str, &str)], bodies: &[&[u8]]) {
        let publish = || -> std::io::Result<()> {
            let mut stream = self.connect("publisher")?;
            let mut all = Vec::new();
            for (name, value) in properties {
                all.push(0x26);
                text(&mut all, name);
                text(&mut all, value);
            }
            for body in bodies {
                let mut packet = Vec::new();
                text(&mut packet, topic);
                packet.extend([0, 1]);
                number(&mut packet, all.len());
                packet.extend(&all);
                packet.extend_from_slice(body);
                send(&mut stream, 0x32, &packet)?;
                let answer = receive(&mut stream)?;
                let is_taken = answer.0 == 0x40 && answer.1.get(2).is_none_or(|code| *code < 0x80);
                if !is_taken {
                    return Err(std::io::Error::other(format!("{answer:?}")));
                }
            }
            send(&mut stream, 0xE0, &[])
        };
        publish().expect("published");
    }

    fn connect(&self, client: &str) -> std::io::Result<TcpStream> {
        match self.call(client)? {
            (stream, 0) => Ok(stream),
            (_, code) => Err(std::io::Error::other(format!("refused with {code:#04x}"))),
        }
    }

    /// A connection, and the code of the broker's answer.
    fn call(&self, client: &str) -> std::io::Result<(TcpStream, u8)> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut packet = Vec::new();
        text(&mut packet, "MQTT");
        // A clean start, and no keep-alive.
        packet.extend([5, 2, 0, 0, 0]);
        text(&mut packet, client);
        send(&mut stream, 0x10, &packet)?;
        match receive(&mut stream)? {
            (0x20, body) if body.len() > 1 => Ok((stream, body[1])),
            other => Err(std::io::Error::other(format!("{other:?}"))),
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = u8::try_from(value % 128).expect("seven bits");
        value /= 128;
        out.push(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return;
        }
    }
}

fn send(stream: &mut TcpStream, first: u8, body: &[u8]) -> std::io::Result<()> {
    let mut packet = vec![first];
    number(&mut packet, body.len());
    packet.extend_from_slice(body);
    stream.write_all(&packet)
}

fn receive(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    let first = byte[0];
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        stream.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7F) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((first, body))
}
