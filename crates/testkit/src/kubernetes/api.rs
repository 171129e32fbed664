//! A plain client of a Kubernetes API server: JSON over HTTPS, with a bearer token.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(10);

/// An API server and who calls it. A connection per call: slow, and nothing to go stale.
#[derive(Clone)]
pub struct Api {
    port: u16,
    token: String,
    tls: TlsConnector,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Api {
    /// The API server at that port of the loopback address, trusted by these certificates.
    ///
    /// # Panics
    /// The certificates cannot be read.
    pub fn new(port: u16, token: &str, authority_pem: &[u8]) -> Api {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority_pem) {
            roots.add(certificate.expect("a certificate")).expect("an authority");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Api { port, token: token.to_owned(), tls: TlsConnector::from(Arc::new(config)) }
    }

    /// The same server, called by another.
    pub fn with_token(&self, token: &str) -> Api {
        Api { token: token.to_owned(), ..self.clone() }
    }

    /// Who calls.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Reads.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses; in its words.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.call("GET", path, "", String::new()).await
    }

    /// Makes an object of that collection.
    ///
    /// # Errors
    /// As `get`.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.call("POST", path, "application/json", object.to_string()).await
    }

    /// Makes an object from its YAML.
    ///
    /// # Errors
    /// As `get`.
    pub async fn create_yaml(&self, path: &str, yaml: &str) -> Result<Value, String> {
        self.call("POST", path, "application/yaml", yaml.to_owned()).await
    }

    /// Puts an object in the place of another.
    ///
    /// # Errors
    /// As `get`.
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.call("PUT", path, "application/json", object.to_string()).await
    }

    /// Changes fields of an object.
    ///
    /// # Errors
    /// As `get`.
    pub async fn patch(&self, path: &str, fields: &Value) -> Result<Value, String> {
        self.call("PATCH", path, "application/merge-patch+json", fields.to_string()).await
    }

    /// Deletes an object at once.
    ///
    /// # Errors
    /// As `get`.
    pub async fn delete(&self, path: &str) -> Result<Value, String> {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
        self.call("DELETE", path, "application/json", options.to_string()).await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: String,
    ) -> Result<Value, String> {
        let call = self.send(method, path, kind, body);
        let answer = tokio::time::timeout(LIMIT, call).await;
        let (status, body) = answer.unwrap_or_else(|_| Err("no answer".to_owned()))?;
        let text = String::from_utf8_lossy(&body);
        let value = serde_json::from_slice(&body).unwrap_or_else(|_| json!(text));
        if status < 300 {
            return Ok(value);
        }
        let words = value["message"].as_str().unwrap_or(&text);
        Err(format!("{method} {path}: {status}: {words}"))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: String,
    ) -> Result<(u16, Bytes), String> {
        fn told(error: impl std::fmt::Display) -> String {
            error.to_string()
        }
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(told)?;
        let name = ServerName::try_from("127.0.0.1").map_err(told)?;
        let socket = self.tls.connect(name, socket).await.map_err(told)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(told)?;
        let driver = tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", if kind.is_empty() { "application/json" } else { kind })
            .body(Full::new(Bytes::from(body)))
            .map_err(told)?;
        let answer = sender.send_request(request).await.map_err(told)?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(told)?.to_bytes();
        driver.abort();
        Ok((status, body))
    }
}
