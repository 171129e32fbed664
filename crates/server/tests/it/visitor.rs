//! A visitor of the page: asks as a browser does, keeps cookies, sends forms, and follows nothing by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::security::raw;

/// Who visits the page of the server at an address.
pub(crate) struct Visitor {
    pub(crate) address: String,
    /// By name.
    pub(crate) cookies: BTreeMap<String, String>,
}

/// An answer to a visitor.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    /// The values of a header; its name in lower case.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// Where it leads to.
    pub(crate) fn location(&self) -> &str {
        self.all("location").first().copied().unwrap_or_default()
    }

    /// The value of the session that stands in the page.
    pub(crate) fn csrf(&self) -> String {
        let (_, rest) = self.body.split_once("<meta name=\"csrf\" content=\"").expect("a session");
        rest.split('"').next().expect("a value").to_owned()
    }
}

impl Visitor {
    pub(crate) fn of(address: &str) -> Visitor {
        Visitor { address: address.to_owned(), cookies: BTreeMap::new() }
    }

    /// A visitor who has signed in with this token.
    pub(crate) fn signed_in(address: &str, token: &str) -> Visitor {
        let mut visitor = Visitor::of(address);
        let seen = visitor.post("/sign-in", &[("token", token)], "");
        assert_eq!(seen.status, 303, "{seen:?}");
        visitor
    }

    pub(crate) fn get(&mut self, path: &str) -> Seen {
        self.ask("GET", path, "Accept: text/html\r\n", "")
    }

    /// Sends a form, with these headers besides.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)], headers: &str) -> Seen {
        let coded = |text: &str| {
            let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
            bytes.collect::<String>()
        };
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", coded(value))).collect();
        let headers = format!(
            "Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n{headers}"
        );
        self.ask("POST", path, &headers, &body.join("&"))
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Seen {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = match cookies.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", cookies.join("; ")),
        };
        let (address, length) = (&self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n{cookies}{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        let answer = raw(address, request.as_bytes(), Duration::from_secs(20));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let seen = Seen { status, head: head.to_owned(), body: body.to_owned() };
        for cookie in seen.all("set-cookie") {
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                let value = rest.split(';').next().unwrap_or_default();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        seen
    }

    /// The same visitor with those cookies alone whose names have this part.
    pub(crate) fn only(&self, part: &str) -> Visitor {
        let cookies = self.cookies.clone().into_iter().filter(|(name, _)| name.contains(part));
        Visitor { address: self.address.clone(), cookies: cookies.collect() }
    }
}
