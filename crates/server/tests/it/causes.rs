//! Why the database does not serve us: each cause is told by its name, in the status and by the check.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use tempfile::TempDir;

use crate::site::{LIMIT, Site, no_server_to_end};

/// What a listener does with a connection.
#[derive(Clone, Copy)]
enum Manner {
    Closes,
    IsSilent,
    SpeaksHttp,
}

/// A listener on a port of its own, until the test ends.
fn listener(manner: Manner) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            match manner {
                Manner::Closes => {}
                Manner::IsSilent => held.push(stream),
                Manner::SpeaksHttp => {
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                }
            }
        }
    });
    port
}

/// What `config check` says of this connection string, with its exit code.
fn checked(site: &Site, uri: &str) -> (Option<i32>, String) {
    let output = site.focus.run(&["config", "check", "--mongodb-uri", uri]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

/// A server tells the same cause in its status and in its log, and goes on.
async fn served(uri: &str, words: &str, refused: bool) {
    let mut site = Site::new(&["--mongodb-uri", uri]);
    site.focus.serve().await;
    until("the cause is told", LIMIT, || async {
        let status = site.focus.status()?;
        let reason = status["catalog_reason"].as_str().unwrap_or_default();
        let good = reason.contains(words)
            && status["catalog_state"] == "down"
            && status["catalog_refuses"] == refused
            && site.focus.log().contains(words);
        if good { Ok(()) } else { Err(format!("{words}: {status:#}\n{}", site.focus.log())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_no_database_is_told_by_what_it_does() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
    let site = Site::new(&[]);
    let cases = [
        (format!("127.0.0.1:{}", listener(Manner::Closes)), 3, "closes them at once"),
        (format!("127.0.0.1:{}", listener(Manner::IsSilent)), 3, "says nothing"),
        (format!("127.0.0.1:{}", listener(Manner::SpeaksHttp)), 2, "is no MongoDB server"),
        (format!("127.0.0.1:{free}"), 3, "refuses connections: nothing listens there"),
        ("no-such-host.invalid:27017".to_owned(), 3, "the name no-such-host.invalid is not known"),
    ];
    for (host, code, words) in cases {
        let uri = format!("mongodb://anna:s3cret@{host}/");
        let (ended, said) = checked(&site, &uri);
        assert!(said.contains(words) && !said.contains("s3cret"), "{words}: {said}");
        assert_eq!(ended, Some(code), "{said}");
        served(&uri, words, code == 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_set_name_and_tls_where_there_is_none_are_told_by_name_and_mended_by_themselves() {
    if no_server_to_end("causes in the connection string") {
        return;
    }
    let server = MongoServer::start().await;
    let host = format!("127.0.0.1:{}", server.port());
    let site = Site::new(&[]);
    for (options, words) in [
        ("replicaSet=nope", "replicaSet=nope"),
        ("replicaSet=nope&directConnection=true", "replicaSet=nope"),
        ("tls=true", "speaks without TLS"),
    ] {
        let uri = format!("mongodb://{host}/?{options}");
        let (ended, said) = checked(&site, &uri);
        assert!(said.contains(words), "{options}: {said}");
        assert_eq!(ended, Some(2), "{said}");
    }
    served(&format!("mongodb://{host}/?replicaSet=nope"), "replicaSet=nope", true).await;
    served(&format!("mongodb://{host}/?tls=true"), "speaks without TLS", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preference_for_secondaries_does_not_keep_recordings_from_the_catalog() {
    if no_server_to_end("read preferences") {
        return;
    }
    let server = MongoServer::start().await;
    let uri = format!("{}&readPreference=secondary", server.uri());
    let mut site = Site::new(&["--mongodb-uri", &uri]);
    site.land(3);
    site.focus.serve().await;
    site.converged(&server, "node4").await;
}

/// `openssl s_server` with a certificate that nobody signed. Ended when dropped.
struct TlsServer {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl TlsServer {
    /// None where the machine has no openssl.
    fn start() -> Option<TlsServer> {
        let dir = TempDir::new().expect("a folder");
        let openssl = |args: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(args).current_dir(dir.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let made = openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ])
        .status()
        .ok()?;
        assert!(made.success(), "no certificate was made");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let accept = format!("127.0.0.1:{port}");
        let child =
            openssl(&["s_server", "-accept", &accept, "-cert", "cert.pem", "-key", "key.pem"])
                .stdin(Stdio::piped())
                .spawn()
                .expect("openssl runs");
        Some(TlsServer { child, port, _dir: dir })
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_speaks_tls_asks_for_it_and_for_a_certificate_that_is_trusted() {
    let Some(server) = TlsServer::start() else {
        println!("left out, needs openssl: causes of TLS");
        return;
    };
    until("it listens", Duration::from_secs(10), || async {
        std::net::TcpStream::connect(("127.0.0.1", server.port)).map_err(|error| error.to_string())
    })
    .await;
    let site = Site::new(&[]);
    let (ended, said) = checked(&site, &format!("mongodb://127.0.0.1:{}/", server.port));
    assert!(said.contains("speaks TLS") && said.contains("tls=true"), "{said}");
    assert_eq!(ended, Some(2), "{said}");
    let (ended, said) = checked(&site, &format!("mongodb://127.0.0.1:{}/?tls=true", server.port));
    assert!(said.contains("certificate") && said.contains("tlsCAFile"), "{said}");
    assert_eq!(ended, Some(2), "{said}");
}
