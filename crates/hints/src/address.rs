//! The address of a broker, and a connection to it, with TLS where the address asks for it.

use std::path::Path;

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::tls;

/// A connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An address of the settings, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

impl Address {
    /// Reads `scheme://user:password@host:port`; credentials are percent-encoded. `schemes` are the one without TLS and
    /// the one with it, each with its port.
    ///
    /// # Errors
    /// It is none. The words show nothing of it.
    pub(crate) fn parse(url: &str, schemes: [(&str, u16); 2]) -> Result<Address, &'static str> {
        let begins = |(scheme, _): &(&str, u16)| url.starts_with(scheme);
        let at = schemes.iter().position(begins).ok_or("its address has another scheme")?;
        let (scheme, port) = schemes[at];
        let rest = url[scheme.len()..].split(['/', '?']).next().unwrap_or_default();
        let (credentials, host) = match rest.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, rest),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = match credentials.map(|both| both.split_once(':').ok_or(both)) {
            Some(Ok((user, password))) => (Some(decoded(user)), Some(decoded(password))),
            Some(Err(user)) => (Some(decoded(user)), None),
            None => (None, None),
        };
        let (host, port) = match host.rsplit_once(':') {
            Some((host, given)) if !given.contains(']') => {
                (host, given.parse().map_err(|_| "its address has a port that is none")?)
            }
            _ => (host, port),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("its address has no host");
        }
        Ok(Address { user, password, host, port, is_tls: at == 1 })
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there, or TLS does not come about.
    pub(crate) async fn connect(&self, ca_file: Option<&Path>) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("the broker cannot be reached: {error}"))?;
        // Without it acknowledgements wait for others.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if !self.is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| "its host is no name for TLS".to_owned())?;
        let stream = tls::connector(ca_file)?.connect(name, stream).await.map_err(|error| {
            tls::words(&error, ca_file)
                .unwrap_or_else(|| format!("no TLS with the broker: {error}"))
        })?;
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_its_parts() {
        let parse = |url| Address::parse(url, [("mqtt://", 1883), ("mqtts://", 8883)]);
        let of = |user: Option<&str>, password: Option<&str>, host: &str, port, is_tls| {
            Ok(Address {
                user: user.map(str::to_owned),
                password: password.map(str::to_owned),
                host: host.to_owned(),
                port,
                is_tls,
            })
        };
        assert_eq!(parse("mqtt://h"), of(None, None, "h", 1883, false));
        assert_eq!(parse("mqtts://h/"), of(None, None, "h", 8883, true));
        let both = of(Some("u"), Some("p:@/"), "h", 1, false);
        assert_eq!(parse("mqtt://u:p%3A%40%2F@h:1/x?y"), both);
        assert_eq!(parse("mqtt://u@[::1]"), of(Some("u"), None, "::1", 1883, false));
        assert_eq!(parse("mqtt://[::1]:5"), of(None, None, "::1", 5, false));
        for bad in ["http://h", "mqtt://", "mqtt://h:x", "mqtt://u:p@"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
