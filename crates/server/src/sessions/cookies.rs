//! The two cookies of a session. The reading one goes along when a person follows a link from elsewhere, such as a
//! mail; the changing one only when a page of this server asks.

use axum::http::{HeaderMap, HeaderValue, header};

use super::Begun;

/// How the cookies of a request are called, and whether they travel over TLS only.
///
/// A browser does not tell the ports of a host apart when it sends cookies. Without TLS their names have the
/// port, so that two servers of one machine do not take each other's. Over TLS the prefix `__Host-` has the browser
/// refuse cookies of these names from any other host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cookies {
    reading: String,
    changing: String,
    is_secure: bool,
}

impl Cookies {
    /// Those of a request for this host, where people reach the server by `external_url`.
    pub(crate) fn of(headers: &HeaderMap, external_url: Option<&str>) -> Cookies {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default().to_ascii_lowercase();
        let secure = external_url.and_then(|url| url.strip_prefix("https://"));
        let secure = secure.and_then(|rest| rest.split('/').next()).map(str::to_ascii_lowercase);
        let usual = |host: &str| host.strip_suffix(":443").unwrap_or(host).to_owned();
        if secure.is_some_and(|secure| usual(&secure) == usual(&host)) {
            return Cookies {
                reading: "__Host-focus-reading".to_owned(),
                changing: "__Host-focus-changing".to_owned(),
                is_secure: true,
            };
        }
        let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
        let port = if port.parse::<u16>().is_ok() { port } else { "80" };
        Cookies {
            reading: format!("focus-reading-{port}"),
            changing: format!("focus-changing-{port}"),
            is_secure: false,
        }
    }

    /// The values that a request shows as the reading cookie: there may be more than one.
    pub(crate) fn reading<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        values(headers, &self.reading)
    }

    /// The same of the changing cookie.
    pub(crate) fn changing<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        values(headers, &self.changing)
    }

    /// What an answer says to have a browser keep a session. It forgets it when it is closed.
    pub(crate) fn kept(&self, begun: &Begun) -> Vec<HeaderValue> {
        self.said(begun.reading.expose(), begun.changing.expose(), "")
    }

    /// What an answer says to have a browser forget its session.
    pub(crate) fn forgotten(&self) -> Vec<HeaderValue> {
        self.said("", "", "; Max-Age=0")
    }

    fn said(&self, reading: &str, changing: &str, age: &str) -> Vec<HeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let said = [(&self.reading, reading, "Lax"), (&self.changing, changing, "Strict")];
        let said = said.map(|(name, value, site)| {
            format!("{name}={value}; Path=/; HttpOnly; SameSite={site}{secure}{age}")
        });
        said.iter().filter_map(|text| HeaderValue::from_str(text).ok()).collect()
    }
}

fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use focus_common::config::Secret;

    use super::*;

    fn asked(host: &'static str, cookie: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
        headers
    }

    #[test]
    fn cookies_are_for_tls_alone_where_the_request_came_by_the_external_address() {
        let begun =
            Begun { reading: Secret::new("r".to_owned()), changing: Secret::new("c".to_owned()) };
        let said = |host, external| {
            let cookies = Cookies::of(&asked(host, ""), external).kept(&begun);
            let text = |at: usize| cookies[at].to_str().expect("text").to_owned();
            (text(0), text(1))
        };
        let (reading, changing) = said("Focus.example", Some("https://focus.example:443/focus"));
        assert_eq!(reading, "__Host-focus-reading=r; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(changing, "__Host-focus-changing=c; Path=/; HttpOnly; SameSite=Strict; Secure");
        for external in [None, Some("http://127.0.0.1:8480"), Some("https://focus.example")] {
            let (reading, changing) = said("127.0.0.1:8480", external);
            assert_eq!(reading, "focus-reading-8480=r; Path=/; HttpOnly; SameSite=Lax");
            assert_eq!(changing, "focus-changing-8480=c; Path=/; HttpOnly; SameSite=Strict");
        }
    }

    #[test]
    fn only_the_cookies_of_the_port_that_was_asked_are_taken() {
        let headers =
            asked("[::1]:1", "focus-reading-2=no; focus-reading-1=a;focus-reading-1=b; x");
        let cookies = Cookies::of(&headers, None);
        assert_eq!(cookies.reading(&headers).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(cookies.changing(&headers).count(), 0);
    }
}
