//! One HTTP POST to a channel: over TLS or in the clear, bounded in time and size. Redirects are not followed,
//! because an address is a secret that was given for one host.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use focus_common::http::exchange_whole;
use focus_core::alert::Tried;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri, header};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A try ends within this.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of an answer at most.
const ANSWER_MAX: usize = 64 * 1024;

/// How a post ended.
#[derive(Debug)]
pub(super) struct Posted {
    /// For the next try.
    pub(super) tried: Tried,
    /// In words that show nothing of the address.
    pub(super) words: String,
}

impl Posted {
    /// Nothing has come to the channel.
    fn failed(words: impl Into<String>) -> Posted {
        Posted { tried: Tried::Failed { after_ms: None, in_doubt: false }, words: words.into() }
    }

    /// The message may have come.
    pub(super) fn doubted(words: impl Into<String>) -> Posted {
        Posted { tried: Tried::Failed { after_ms: None, in_doubt: true }, words: words.into() }
    }
}

static TLS: LazyLock<Option<TlsConnector>> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
});

/// Sends a body with these headers to an address.
pub(super) async fn post(url: &str, headers: &[(&'static str, String)], body: Vec<u8>) -> Posted {
    match tokio::time::timeout(LIMIT, send(url, headers, body)).await {
        Ok(posted) => posted,
        Err(_) => Posted::doubted(format!("no answer within {} s", LIMIT.as_secs())),
    }
}

async fn send(url: &str, headers: &[(&'static str, String)], body: Vec<u8>) -> Posted {
    let Ok(uri) = url.parse::<Uri>() else { return Posted::failed("its address is none") };
    let Some(host) = uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()) else {
        return Posted::failed("its address has no host");
    };
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| {
        authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host)
    });
    let mut request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("focus/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let Ok(request) = request.body(Full::new(Bytes::from(body))) else {
        return Posted::failed("its address or its key has characters that HTTP does not take");
    };
    let stream = match TcpStream::connect((host.as_str(), port)).await {
        Ok(stream) => stream,
        Err(error) => return Posted::failed(format!("no connection: {error}")),
    };
    let exchanged = if is_tls {
        let (Some(tls), Ok(name)) = (TLS.as_ref(), ServerName::try_from(host)) else {
            return Posted::failed("its host is no name for TLS");
        };
        match tls.connect(name, stream).await {
            Ok(stream) => exchange_whole(stream, request, ANSWER_MAX).await,
            Err(error) => return Posted::failed(format!("no TLS: {error}")),
        }
    } else {
        exchange_whole(stream, request, ANSWER_MAX).await
    };
    match exchanged {
        Ok((head, _)) => outcome(head.status, head.headers.get(header::RETRY_AFTER)),
        Err(error) => Posted::doubted(error.to_string()),
    }
}

/// What an answer means for the next try.
fn outcome(status: StatusCode, retry_after: Option<&header::HeaderValue>) -> Posted {
    let words = format!("it answers {status}");
    let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let tried = if status.is_success() {
        Tried::Delivered
    } else if passes {
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        let after_ms = seconds.map(|seconds| seconds.saturating_mul(1_000));
        Tried::Failed { after_ms, in_doubt: false }
    } else {
        Tried::Refused
    };
    Posted { tried, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_and_when_to_try_again() {
        let of = |code, after: Option<&'static str>| {
            let after = after.map(header::HeaderValue::from_static);
            outcome(StatusCode::from_u16(code).expect("a status"), after.as_ref()).tried
        };
        assert_eq!(of(202, None), Tried::Delivered);
        assert_eq!(of(503, None), Tried::Failed { after_ms: None, in_doubt: false });
        assert_eq!(of(429, Some("7")), Tried::Failed { after_ms: Some(7_000), in_doubt: false });
        assert_eq!(of(429, Some("never")), of(503, None));
        assert_eq!([of(301, None), of(404, None), of(400, None)], [Tried::Refused; 3]);
        assert_eq!(of(408, None), of(503, None));
    }
}
