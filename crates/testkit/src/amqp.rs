//! A RabbitMQ of a test's own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::broker::{free_port, installed};
use crate::wait::until;

/// The script that starts the broker as whoever calls it. The one on the PATH becomes another user.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// It takes long to start on a machine with much to do.
const START: Duration = Duration::from_secs(180);

/// A broker that keeps its queues; it ends when it is dropped.
#[derive(Debug)]
pub struct RabbitMq {
    port: u16,
    /// Where Erlang's nodes find one another, and where this one is.
    names_port: u16,
    node_port: u16,
    data: TempDir,
    /// The broker, and the register of names. Each leads a group of processes.
    children: Vec<Child>,
}

impl RabbitMq {
    /// Starts one; none where it or the publisher `amqp-publish` is not installed.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Option<RabbitMq> {
        RabbitMq::start_with("").await
    }

    /// Starts one with further lines of its configuration.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(configuration: &str) -> Option<RabbitMq> {
        installed("epmd").and(installed("amqp-publish"))?;
        if !PathBuf::from(SERVER).is_file() {
            return None;
        }
        let data = TempDir::new().expect("a folder");
        let (port, names_port, node_port) = (free_port(), free_port(), free_port());
        let text = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = true\nlog.file = false\n{configuration}\n"
        );
        std::fs::write(data.path().join("rabbitmq.conf"), text).expect("a configuration");
        let mut broker = RabbitMq { port, names_port, node_port, data, children: Vec::new() };
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

    /// Removes a queue; false: there is none.
    ///
    /// # Panics
    /// The program `amqp-delete-queue` is not there.
    pub fn delete_queue(&self, name: &str) -> bool {
        let url = format!("--url=amqp://{}", self.address());
        let output = Command::new("amqp-delete-queue").args([&url, "-q", name]).output();
        output.expect("amqp-delete-queue runs").status.success()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        for mut child in self.children.drain(..) {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It may have ended by itself.
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port and data.
    ///
    /// # Panics
    /// It does not answer in time.
    pub async fn restart(&mut self) {
        self.kill();
        let path = |name: &str| self.data.path().join(name);
        let names_port = self.names_port.to_string();
        let log = || std::fs::File::options().create(true).append(true).open(path("out"));
        let mut names = Command::new(installed("epmd").expect("the register of names"));
        names.args(["-port", &names_port, "-address", "127.0.0.1"]);
        let mut broker = Command::new(SERVER);
        broker
            .env("HOME", self.data.path())
            .env("ERL_EPMD_PORT", &names_port)
            .env("RABBITMQ_NODENAME", format!("test{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.node_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", path("db"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            );
        for mut command in [names, broker] {
            command
                .stdin(Stdio::null())
                .stdout(log().expect("a log"))
                .stderr(log().expect("a log"));
            self.children.push(command.process_group(0).spawn().expect("it starts"));
        }
        until("RabbitMQ answers", START, || async {
            let log = || std::fs::read_to_string(self.data.path().join("out")).unwrap_or_default();
            self.try_publish("", "nobody", b"", b"").map_err(|words| format!("{words}\n{}", log()))
        })
        .await;
    }

    /// Publishes a message to an exchange (empty: to the queue that is called like the key); the broker has it when this
    /// returns.
    ///
    /// # Panics
    /// The broker does not take it.
    pub fn publish(&self, exchange: &str, key: &str, content_type: &str, body: &[u8]) {
        self.try_publish(exchange, key, content_type.as_bytes(), body).expect("published");
    }

    /// The same with a media type that need not be text.
    ///
    /// # Panics
    /// The broker does not take it.
    pub fn publish_typed(&self, exchange: &str, key: &str, content_type: &[u8], body: &[u8]) {
        self.try_publish(exchange, key, content_type, body).expect("published");
    }

    fn try_publish(
        &self,
        exchange: &str,
        key: &str,
        content_type: &[u8],
        body: &[u8],
    ) -> Result<(), String> {
        let file = self.data.path().join("body");
        std::fs::write(&file, body).map_err(|error| error.to_string())?;
        let mut command = Command::new("amqp-publish");
        command.arg(format!("--url=amqp://{}", self.address())).args(["-p", "-r", key]);
        if !exchange.is_empty() {
            command.args(["-e", exchange]);
        }
        if !content_type.is_empty() {
            command.arg("-C").arg(OsStr::from_bytes(content_type));
        }
        let stdin = std::fs::File::open(&file).map_err(|error| error.to_string())?;
        let output = command.stdin(stdin).output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(format!("{output:?}")) }
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}
