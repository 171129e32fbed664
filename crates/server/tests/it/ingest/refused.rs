//! Recordings that are not taken: each refusal has its type, names what is to blame, and says what to do.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use focus_testkit::focus::Answer;
use serde_json::Value;

use super::form::{FORM, Handed, files, form, server, set, sidecar, site};
use super::{digest, only, serving};
use crate::site::{LIMIT, Site};

/// It is this status, of this type, at this field, and says these words.
fn is(answer: &Answer, status: u16, kind: &str, field: Option<&str>, words: &str) {
    let told = answer.json();
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(told["type"], format!("/docs#error-{kind}"), "{told:#}");
    assert_eq!(told["field"], field.map_or(Value::Null, Value::from), "{told:#}");
    assert!(told["detail"].as_str().unwrap_or_default().contains(words), "{told:#}");
}

fn at(path: &str) -> Handed {
    Handed::over(path, "u", b"data")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_hand_over_is_told_so_and_so_is_who_asks_where_it_is_off() {
    let mut site = Site::new(&[]);
    site.focus.serve().await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    is(&at("a").send(&site), 403, "ingest-off", Some("root"), "`ingest = true`");
    let mut named = at("a");
    named.query = format!("path=a&root={}", site.marker);
    is(&named.send(&site), 403, "ingest-off", Some("root"), "this root takes no recordings");
    let (address, _) = server(&site);
    is(&at("a").to(&address, "wrong").expect("told"), 401, "no-token", None, "ingest");
    assert!(files(site.tree.root()).is_empty());
    let site = super::form::site("");
    let token = site.dir.path().join("token");
    fs::write(&token, "a-token-that-may-only-read-things").expect("written");
    let table = format!(
        "[[tokens]]\nname = \"reader\"\ntoken_file = \"{}\"\nallow = [\"read\"]",
        token.display()
    );
    set(&site, &table);
    let mut site = site;
    site.focus.serve().await;
    let (address, _) = server(&site);
    let refused = at("a").to(&address, "a-token-that-may-only-read-things").expect("told");
    is(&refused, 403, "no-right", None, "\"ingest\"");
    assert!(files(site.tree.root()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_leads_elsewhere_is_refused_and_nothing_is_written() {
    let site = serving("exclude_more = [\"raw/old\"]").await;
    let outside = site.dir.path().join("outside");
    fs::create_dir(&outside).expect("a folder");
    symlink(&outside, site.tree.root().join("link")).expect("a link");
    let long = "x".repeat(252);
    for (path, words) in [
        ("/etc/x", "relative to the root"),
        ("..%2Fx", "`..`"),
        ("a/../../x", "`..`"),
        ("./x", "`.`"),
        ("", "is empty"),
        ("a//b", "is empty"),
        ("a%0Ab", "control characters"),
        ("a%00", "control characters"),
        (&long, "more than 255 bytes"),
        (&"x/".repeat(600), "more than 1024 bytes"),
        ("raw/old/x", "`exclude` hides it"),
        (".snapshot/x", "`exclude` hides it"),
        (".focus-ingest-x/y", "give another"),
        ("link/x", "symbolic link"),
        ("link/more/x", "symbolic link"),
    ] {
        let told = at(path).send(&site);
        is(&told, 400, "bad-value", Some("path"), words);
    }
    let mut none = at("x");
    none.query = String::new();
    is(&none.send(&site), 400, "bad-value", Some("path"), "missing");
    none.query = "path=x&more=1".to_owned();
    is(&none.send(&site), 400, "unknown-parameter", Some("more"), "path, root");
    none.query = "path=x&root=elsewhere".to_owned();
    is(&none.send(&site), 400, "bad-value", Some("root"), "focus status");
    assert_eq!(files(&outside), [""; 0]);
    only(&site, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_be_used_is_refused_and_nothing_is_left_of_it() {
    let site = serving("").await;
    let good = sidecar("u").to_string();
    let good = good.as_bytes();
    for (sidecar, words) in [
        (&b"{"[..], "not usable JSON"),
        (b"[]", "not usable JSON"),
        (br#"{"uuid": "x"}"#, "no start_time"),
        (br#"{"start_time": 1700000000, "end_time": 1600000000}"#, "before start_time"),
        (br#"{"start_time": 1700000000, "uuid": 5}"#, "uuid must be a text"),
    ] {
        let told = Handed::with("a", sidecar, b"data").send(&site);
        is(&told, 400, "bad-body", Some("sidecar"), words);
    }
    let with = |parts: &[(&str, &[u8])]| Handed { body: form(parts), ..at("a") };
    let told = with(&[("data", b"data"), ("sidecar", good)]).send(&site);
    is(&told, 400, "bad-body", Some("sidecar"), "before the data");
    is(&with(&[("data", b"data")]).send(&site), 400, "bad-body", Some("sidecar"), "begin with");
    is(&with(&[("sidecar", good)]).send(&site), 400, "bad-body", Some("data"), "after the part");
    let told = with(&[("sidecar", good), ("data", b"d"), ("data", b"e")]).send(&site);
    is(&told, 400, "bad-body", None, "after `data`");
    let mut broken = at("a");
    broken.body.truncate(broken.body.len() - 20);
    is(&broken.send(&site), 400, "bad-body", None, "Send it anew");
    broken.body = b"no form at all".to_vec();
    is(&broken.send(&site), 400, "bad-body", None, "Send it anew");
    let mut more = at("a");
    more.body.extend(vec![b' '; 100_000]);
    is(&more.send(&site), 400, "bad-body", None, "after its last part");
    let large = format!("{{\"start_time\": 1, \"x\": \"{}\"}}", "x".repeat(1 << 20));
    let told = Handed::with("a", large.as_bytes(), b"data").send(&site);
    is(&told, 413, "too-large", Some("sidecar"), "1048576");
    for kind in ["application/json", "multipart/form-data", "multipart/mixed; boundary=b0undary"] {
        let told = Handed { kind: kind.to_owned(), ..at("a") }.send(&site);
        is(&told, 415, "wrong-media-type", None, "multipart/form-data");
    }
    let encoded = Handed { headers: "Content-Encoding: gzip\r\n".to_owned(), ..at("a") };
    is(&encoded.send(&site), 415, "wrong-media-type", None, "encoded");
    assert_eq!(FORM, at("a").kind);
    only(&site, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_the_one_of_its_digest_is_refused() {
    let site = serving("").await;
    let mut handed = at("a");
    handed.headers = digest(b"another body");
    is(&handed.send(&site), 400, "wrong-digest", Some("Content-Digest"), "Send it again");
    for header in ["sha-256=:AAAA:", "sha-256=x", "sha-512=:AAAA:", "x"] {
        handed.headers = format!("Content-Digest: {header}\r\n");
        is(&handed.send(&site), 400, "bad-value", Some("Content-Digest"), "sha-256=:BASE64:");
    }
    only(&site, &[]).await;
    handed.headers = digest(&handed.body);
    assert_eq!(handed.send(&site).status, 201);
    // Whatever comes after the last part counts too.
    let mut other = Handed::over("b", "b", b"data");
    other.headers = digest(&other.body);
    other.body.extend(b"\r\n");
    is(&other.send(&site), 400, "wrong-digest", Some("Content-Digest"), "SHA-256");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_never_replaced() {
    let site = serving("").await;
    let root = site.tree.root().to_owned();
    let handed = Handed::over("a", "a", b"data");
    assert_eq!(handed.send(&site).status, 201);
    for other in [
        Handed::over("a", "a", b"Data"),
        Handed::over("a", "a", b"data and more"),
        Handed::over("a", "b", b"data"),
    ] {
        is(&other.send(&site), 409, "conflict", Some("path"), "nothing is ever replaced");
    }
    let told = Handed::over("b", "a", b"data").send(&site);
    is(&told, 409, "conflict", Some("uuid"), "\"a.dat\"");
    for name in ["c.DAT", "d.json", "e.dat/x"] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, "theirs").expect("written");
        let stem = name.split('.').next().expect("a stem");
        let told = Handed::over(stem, &format!("new-{stem}"), b"data").send(&site);
        is(&told, 409, "conflict", Some("path"), "give another path");
    }
    symlink("/etc/passwd", root.join("f.json")).expect("a link");
    let told = Handed::over("f", "f", b"data").send(&site);
    is(&told, 409, "conflict", Some("path"), "give another path");
    only(&site, &["a.dat", "a.json", "c.DAT", "d.json", "e.dat/x", "f.json"]).await;
    assert_eq!(fs::read(root.join("a.dat")).expect("there"), b"data");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_bounds_allow_is_refused() {
    let mut site = serving("ingest_max_bytes = 1000000").await;
    let whole = vec![3; 1_000_000];
    assert_eq!(Handed::over("a", "a", &whole).send(&site).status, 201);
    for more in [1_000_001, 1_100_000, 20_000_000] {
        let told = Handed::over("b", "b", &vec![3; more]).send(&site);
        is(&told, 413, "too-large", Some("data"), "ingest_max_bytes");
    }
    assert_eq!(site.focus.stop(), Some(0));
    set(&site, "ingest_keep_free_percent = 99");
    site.focus.serve().await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    let told = Handed::over("c", "c", b"data").send(&site);
    is(&told, 507, "no-space", None, "Make room");
    only(&site, &["a.dat", "a.json"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_away_or_whose_deletions_are_held_takes_nothing() {
    let site = serving("").await;
    let root = site.tree.root().to_owned();
    for n in 0..12 {
        let one = Handed::over(&format!("r{n}"), &format!("r{n}"), b"data");
        assert_eq!(one.send(&site).status, 201);
    }
    let aside = site.dir.path().join("aside");
    fs::rename(&root, &aside).expect("moved");
    // It may be a moment before the server knows.
    is(&at("x").send(&site), 503, "unavailable", Some("root"), "once the root is there");
    site.focus.until_status("/roots/0/state", "absent", LIMIT).await;
    is(&at("x").send(&site), 503, "unavailable", Some("root"), "once the root is there");
    fs::rename(&aside, &root).expect("moved");
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    for n in 0..12 {
        fs::remove_file(root.join(format!("r{n}.dat"))).expect("removed");
        fs::remove_file(root.join(format!("r{n}.json"))).expect("removed");
    }
    site.focus.until_status("held", 12, LIMIT).await;
    is(&at("x").send(&site), 409, "conflict", Some("root"), "focus held");
    only(&site, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_keeps_nothing_of_what_it_could_not_take() {
    let mut site = site("ingest_keep_free_percent = 0");
    let root = site.tree.root().display().to_string();
    let tried = Command::new("unshare").args(["-m", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) {
        return println!("left out, needs root: a disk that is full");
    }
    let marker = fs::read_to_string(site.tree.root().join(".focus-root")).expect("a marker");
    let script = "mount -t tmpfs -o size=8m none \"$0\" && printf %s \"$1\" > \"$0/.focus-root\" && shift 1 && exec \"$@\"";
    site.focus.by =
        ["unshare", "-m", "sh", "-c", script, &root, &marker].map(str::to_owned).to_vec();
    site.focus.serve().await;
    site.focus.until_status("/roots/0/state", "present", LIMIT).await;
    let mut large = Handed::over("large", "large", &vec![1; 12_000_000]);
    is(&large.send(&site), 507, "no-space", None, "Make room");
    // Where its length is not told, it is found while it is written.
    let told = chunked(&site, &large);
    is(&told, 507, "no-space", None, "Make room");
    assert_eq!(files(&site.focus.seen(site.tree.root())), [""; 0]);
    large = Handed::over("small", "small", &vec![1; 6_000_000]);
    assert_eq!(large.send(&site).status, 201);
    assert_eq!(files(&site.focus.seen(site.tree.root())), ["small.dat", "small.json"]);
}

/// Sends a form in pieces, without telling its length.
fn chunked(site: &Site, handed: &Handed) -> Answer {
    use std::io::{Read, Write};
    let (address, token) = server(site);
    let head = String::from_utf8(handed.head(&address, &token)).expect("text");
    let head = head
        .replace(&format!("Content-Length: {}", handed.body.len()), "Transfer-Encoding: chunked");
    let mut stream = std::net::TcpStream::connect(&address).expect("connected");
    stream.write_all(head.as_bytes()).expect("sent");
    for piece in handed.body.chunks(100_000) {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).expect("sent");
        stream.write_all(piece).expect("sent");
        stream.write_all(b"\r\n").expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    super::form::answer(&answer).expect("an answer")
}
