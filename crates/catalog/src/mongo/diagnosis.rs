//! Why a database that was tried does not serve us: asked on bare connections, in words for people.
//!
//! The MongoDB driver tells most causes as "no server was found in time". Here each host is asked
//! with a few bytes: is the name known, does something listen, does it speak the protocol,
//! with TLS or without, and what does it say of itself? Nothing depends on the answer but words.

use std::io::ErrorKind;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Hosts that are asked at most.
const HOSTS_MAX: usize = 5;

/// Bytes of an answer that are read at most.
const ANSWER_MAX: usize = 64 * 1024;

/// The opcode of a message of the protocol, as `OP_MSG` is written in its description.
const OP_MSG: i32 = 2013;

/// A `ClientHello` of TLS 1.2 with two cipher suites: whoever speaks TLS answers it, and be it with an alert.
const CLIENT_HELLO: [u8; 52] = client_hello();

/// A cause that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// What is wrong, where, and what to do.
    pub(super) words: String,
    /// The settings or the database have to be changed: it does not pass by itself.
    pub(super) refused: bool,
}

impl Cause {
    fn passing(words: String) -> Cause {
        Cause { words, refused: false }
    }

    fn lasting(words: String) -> Cause {
        Cause { words, refused: true }
    }
}

/// Looks for a cause, first at the hosts in their order. None: each host answers as it should.
pub(super) async fn cause(options: &ClientOptions, patience: Duration) -> Option<Cause> {
    for address in options.hosts.iter().take(HOSTS_MAX) {
        let ServerAddress::Tcp { host, port } = address else { continue };
        let host = Host { name: host, port: port.unwrap_or(27017), patience };
        if let Some(cause) = host.cause(options).await {
            return Some(cause);
        }
    }
    None
}

/// Why no connection to this host could be made.
pub(super) fn unreachable(name: &str, port: u16, error: &std::io::Error) -> String {
    let at = format!("{name}:{port}");
    match error.kind() {
        ErrorKind::ConnectionRefused => format!(
            "{at} refuses connections: nothing listens there. Start the database, or correct host and port"
        ),
        ErrorKind::TimedOut => silent_host(name, port),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            format!("no way leads to {at}: {error}. Look at the network between here and there")
        }
        // The standard library has no kind for it; a bare number is an error of the system instead.
        _ if error.raw_os_error().is_none() => format!(
            "the name {name} is not known: {error}. Correct the host in the connection string, or the name service"
        ),
        _ => format!("{at}: {error}"),
    }
}

/// A host to which no connection could be made in time.
pub(super) fn silent_host(name: &str, port: u16) -> String {
    format!(
        "{name}:{port} cannot be reached: no answer to a connection. Look at the network, or raise probe_timeout_ms on a slow link"
    )
}

/// A host that is asked.
struct Host<'a> {
    name: &'a str,
    port: u16,
    patience: Duration,
}

/// What came back on a bare connection.
enum Heard {
    /// An answer of the protocol.
    Hello(Document),
    /// The beginning of a TLS record.
    Tls,
    /// Bytes of another protocol.
    Other(Vec<u8>),
    /// The connection was closed without a byte.
    Closed,
    /// Nothing within the time.
    Silence,
}

impl Host<'_> {
    async fn cause(&self, options: &ClientOptions) -> Option<Cause> {
        let wants_tls = matches!(options.tls, Some(Tls::Enabled(_)));
        let at = format!("{}:{}", self.name, self.port);
        let heard = match self.say(&hello()).await {
            Ok(heard) => heard,
            Err(words) => return Some(Cause::passing(words)),
        };
        match heard {
            Heard::Hello(_) if wants_tls => Some(Cause::lasting(format!(
                "{at} speaks without TLS, and the connection string asks for it: remove tls=true, or switch TLS on in the database"
            ))),
            Heard::Hello(hello) => self.of_hello(options, &hello).await,
            Heard::Tls if wants_tls => None,
            Heard::Tls => Some(wants_tls_of_us(&at)),
            Heard::Other(bytes) => Some(Cause::lasting(format!(
                "{at} is no MongoDB server: it answers {:?}. Correct host and port",
                beginning(&bytes)
            ))),
            Heard::Closed => match self.say(&CLIENT_HELLO).await {
                Ok(Heard::Tls) if wants_tls => None,
                Ok(Heard::Tls) => Some(wants_tls_of_us(&at)),
                _ => Some(Cause::passing(format!(
                    "{at} takes connections and closes them at once: it is no MongoDB server, or a proxy whose database is away"
                ))),
            },
            // One that speaks TLS waits for more bytes than a greeting of ours has.
            Heard::Silence => match self.say(&CLIENT_HELLO).await {
                Ok(Heard::Tls) if wants_tls => None,
                Ok(Heard::Tls) => Some(wants_tls_of_us(&at)),
                _ => Some(Cause::passing(format!(
                    "{at} takes connections and says nothing: it hangs, or is cut off"
                ))),
            },
        }
    }

    /// What is wrong with a host that speaks the protocol, by what it says of itself.
    async fn of_hello(&self, options: &ClientOptions, hello: &Document) -> Option<Cause> {
        let at = format!("{}:{}", self.name, self.port);
        let set = hello.get_str("setName").ok();
        // A member that has not read its configuration yet has no name, and will have one.
        let begins = hello.get_bool("isreplicaset").unwrap_or(false);
        match (&options.repl_set_name, set) {
            (Some(wanted), Some(set)) if wanted != set => {
                return Some(Cause::lasting(format!(
                    "{at} is of the replica set {set}, and the connection string asks for replicaSet={wanted}: correct the name"
                )));
            }
            (Some(wanted), None) if !begins => {
                return Some(Cause::lasting(format!(
                    "{at} is of no replica set, and the connection string asks for replicaSet={wanted}: remove the option"
                )));
            }
            _ => {}
        }
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            let direct = options.direct_connection == Some(true);
            return if direct || set.is_none() { None } else { self.of_members(hello).await };
        }
        let primary = hello.get_str("primary").ok();
        Some(Cause::passing(match primary {
            Some(primary) if options.direct_connection == Some(true) => format!(
                "{at} is not the primary, which is {primary}: remove directConnection=true, or name {primary}"
            ),
            Some(primary) => match self.unreachable_member(primary).await {
                Some(words) => members_away(&at, &words),
                None => {
                    format!("{at} says that the primary is {primary}, which takes no writes yet")
                }
            },
            None => format!("{at} has no primary now: it waits for an election"),
        }))
    }

    /// The driver goes to the members by the names that the set gives them.
    async fn of_members(&self, hello: &Document) -> Option<Cause> {
        let me = hello.get_str("primary").or_else(|_| hello.get_str("me")).ok()?;
        let words = self.unreachable_member(me).await?;
        Some(Cause::lasting(members_away(&format!("{}:{}", self.name, self.port), &words)))
    }

    /// Why this member cannot be reached, if it cannot.
    async fn unreachable_member(&self, member: &str) -> Option<String> {
        let (name, port) = member.rsplit_once(':')?;
        let member = Host { name, port: port.parse().ok()?, patience: self.patience };
        member.connect().await.err()
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        match timeout(self.patience, TcpStream::connect((self.name, self.port))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(unreachable(self.name, self.port, &error)),
            Err(_) => Err(silent_host(self.name, self.port)),
        }
    }

    /// Sends these bytes on a connection of their own, and listens.
    async fn say(&self, bytes: &[u8]) -> Result<Heard, String> {
        let mut stream = self.connect().await?;
        if stream.write_all(bytes).await.is_err() {
            return Ok(Heard::Closed);
        }
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match timeout(self.patience, stream.read(&mut piece)).await {
                Ok(Ok(0) | Err(_)) | Err(_) if !answer.is_empty() => {
                    return Ok(understood(&answer));
                }
                Ok(Ok(0) | Err(_)) => return Ok(Heard::Closed),
                Err(_) => return Ok(Heard::Silence),
                Ok(Ok(count)) => answer.extend_from_slice(&piece[..count]),
            }
            let heard = understood(&answer);
            if !matches!(heard, Heard::Other(_)) || answer.len() > ANSWER_MAX {
                return Ok(heard);
            }
        }
    }
}

fn wants_tls_of_us(at: &str) -> Cause {
    Cause::lasting(format!(
        "{at} speaks TLS, and the connection string does not: add tls=true to it"
    ))
}

fn members_away(at: &str, words: &str) -> String {
    format!(
        "{at} answers and names its primary by an address that leads nowhere from here: {words}. Make the names of the set's members known here, or add directConnection=true"
    )
}

/// The first line of an answer that is none of ours, and no more than a person needs.
fn beginning(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().next().unwrap_or_default().chars().take(40).collect()
}

/// What these bytes are. An answer of the protocol that is not whole yet is `Other`.
fn understood(bytes: &[u8]) -> Heard {
    // Content type alert or handshake, and the major version of SSL 3 and all of TLS.
    if let [0x15 | 0x16, 3, ..] = bytes {
        return Heard::Tls;
    }
    let length = bytes.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    let document = match bytes.get(12..16) {
        Some(code) if code == OP_MSG.to_le_bytes() && bytes.len() >= length => {
            bytes.get(21..length)
        }
        _ => None,
    };
    match document.and_then(|document| Document::from_reader(document).ok()) {
        Some(hello) => Heard::Hello(hello),
        None => Heard::Other(bytes.to_vec()),
    }
}

/// The command `hello`, as the protocol has it on the wire.
fn hello() -> Vec<u8> {
    let command = doc! { "hello": 1, "$db": "admin" };
    let mut document = Vec::new();
    // A document of two fields has bytes.
    let _ = command.to_writer(&mut document);
    let length = i32::try_from(21 + document.len()).unwrap_or(i32::MAX);
    let mut message = Vec::new();
    for number in [length, 1, 0, OP_MSG, 0] {
        message.extend_from_slice(&number.to_le_bytes());
    }
    message.push(0);
    message.extend_from_slice(&document);
    message
}

/// RFC 5246, sections 6.2.1 and 7.4.1.2: a record with a handshake that offers
/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` and `TLS_RSA_WITH_AES_128_CBC_SHA`.
const fn client_hello() -> [u8; 52] {
    let mut bytes = [0; 52];
    let head = [0x16, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3];
    let mut at = 0;
    while at < head.len() {
        bytes[at] = head[at];
        at += 1;
    }
    // 32 random bytes, which may be zero, and an empty session id.
    let tail = [0, 4, 0xc0, 0x2f, 0x00, 0x2f, 1, 0];
    let mut from = 0;
    while from < tail.len() {
        bytes[44 + from] = tail[from];
        from += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_bytes_of_other_protocols() {
        let answer = hello();
        assert!(matches!(understood(&answer), Heard::Hello(hello) if hello.contains_key("hello")));
        assert!(matches!(understood(&answer[..30]), Heard::Other(_)));
        assert!(matches!(understood(&[0x15, 3, 1, 0, 2]), Heard::Tls));
        assert!(matches!(understood(b"HTTP/1.1 400 Bad Request\r\n"), Heard::Other(_)));
        assert!(matches!(understood(&[]), Heard::Other(_)));
        assert!(matches!(understood(&[255; 64]), Heard::Other(_)));
    }

    #[test]
    fn the_lengths_in_the_greeting_of_tls_are_right() {
        let record = u16::from_be_bytes([CLIENT_HELLO[3], CLIENT_HELLO[4]]) as usize;
        assert_eq!(record, CLIENT_HELLO.len() - 5);
        let handshake = u16::from_be_bytes([CLIENT_HELLO[7], CLIENT_HELLO[8]]) as usize;
        assert_eq!(handshake, CLIENT_HELLO.len() - 9);
    }
}
