//! Where the API server is, and who calls it: the pod's service account from within a cluster, a user of a
//! kubeconfig from outside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::client::Client;
use super::kubeconfig::{self, Cluster, Credentials};

/// The folder of a pod's service account, unless [`ACCOUNT_VARIABLE`] names another.
const ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const ACCOUNT_VARIABLE: &str = "FOCUS_SERVICE_ACCOUNT_DIR";

/// Files in which systems keep the authorities that they trust.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// How the cluster is reached: a part of the plan, so that another process reaches the same one. It
/// names files and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Access {
    /// By the service account of the pod that this runs in.
    Pod {
        /// Host of the API server.
        host: String,
        /// Its port.
        port: u16,
        /// Folder with `token`, `ca.crt` and `namespace`.
        account: PathBuf,
    },
    /// By a kubeconfig.
    Kubeconfig {
        /// The files, in the order in which they count.
        files: Vec<PathBuf>,
        /// The context.
        context: String,
    },
}

impl Access {
    /// Finds the cluster as `kubectl` does: `KUBECONFIG`, else `~/.kube/config`, else the pod's service account.
    ///
    /// # Errors
    /// None of them is there, or the one that is cannot be understood.
    pub fn find() -> anyhow::Result<Access> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let files: Vec<PathBuf> = match (set("KUBECONFIG"), set("HOME")) {
            (Some(list), _) => std::env::split_paths(&list).collect(),
            (None, Some(home)) => vec![PathBuf::from(home).join(".kube/config")],
            (None, None) => Vec::new(),
        };
        let there: Vec<PathBuf> = files.iter().filter(|file| file.is_file()).cloned().collect();
        if !there.is_empty() {
            let files: Vec<PathBuf> =
                there.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
            let context = kubeconfig::current_context(&files)?;
            return Ok(Access::Kubeconfig { files, context });
        }
        if let Some(named) = set("KUBECONFIG") {
            anyhow::bail!("KUBECONFIG names {}, which is not there", named.display());
        }
        let host = set("KUBERNETES_SERVICE_HOST").and_then(|host| host.into_string().ok());
        let Some(host) = host else {
            anyhow::bail!(
                "no cluster is known: set KUBECONFIG, or run in a pod with a service account"
            );
        };
        let port = set("KUBERNETES_SERVICE_PORT").and_then(|port| port.into_string().ok());
        let port = port.as_deref().unwrap_or("443").parse().context("KUBERNETES_SERVICE_PORT")?;
        let account = set(ACCOUNT_VARIABLE).map_or_else(|| PathBuf::from(ACCOUNT_DIR), Into::into);
        Ok(Access::Pod { host, port, account })
    }

    /// The access in one line, for people.
    pub fn describe(&self) -> String {
        match self {
            Access::Pod { host, port, .. } => {
                format!("the cluster at {host}:{port}, as this pod's service account")
            }
            Access::Kubeconfig { context, .. } => format!("the cluster of context {context:?}"),
        }
    }

    /// The namespace that counts where no flag gives one.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn namespace(&self) -> anyhow::Result<Option<String>> {
        match self {
            Access::Pod { account, .. } => {
                let text = std::fs::read_to_string(account.join("namespace")).ok();
                Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
            }
            Access::Kubeconfig { files, context } => kubeconfig::namespace(files, context),
        }
    }

    /// A client, with credentials read now: tokens of service accounts are renewed in their file.
    ///
    /// # Errors
    /// A file is missing or cannot be understood, or asks for what is not supported: which, and what
    /// to do.
    pub async fn client(&self) -> anyhow::Result<Client> {
        match self {
            Access::Pod { host, port, account } => {
                let token = read(&account.join("token"))?;
                let authority = read(&account.join("ca.crt"))?;
                let cluster = Cluster {
                    host: host.clone(),
                    port: *port,
                    base: String::new(),
                    name: host.clone(),
                    authority_pem: Some(authority.into_bytes()),
                };
                let credentials =
                    Credentials { token: Some(token.trim().to_owned()), certificate: None };
                connect(cluster, &credentials)
            }
            Access::Kubeconfig { files, context } => {
                let (cluster, user) = kubeconfig::read(files, context)?;
                connect(cluster, &user.credentials().await?)
            }
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| {
        format!("{} cannot be read: does the pod mount its service account?", file.display())
    })
}

fn connect(cluster: Cluster, credentials: &Credentials) -> anyhow::Result<Client> {
    let mut roots = RootCertStore::empty();
    let authority_pem = match cluster.authority_pem {
        Some(pem) => pem,
        None => system_authorities()?,
    };
    for certificate in CertificateDer::pem_slice_iter(&authority_pem) {
        let certificate = certificate.map_err(|error| {
            anyhow::anyhow!("the certificate authority cannot be read: {error}")
        })?;
        // A system's file may hold one that is not understood; the others still count.
        let _ = roots.add(certificate);
    }
    anyhow::ensure!(!roots.is_empty(), "the certificate authority holds no certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match &credentials.certificate {
        None => config.with_no_client_auth(),
        Some((certificates, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificates)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| {
                    anyhow::anyhow!("the client certificate cannot be read: {error}")
                })?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| anyhow::anyhow!("the client key cannot be read"))?;
            config.with_client_auth_cert(chain, key).context("client certificate")?
        }
    };
    let name = ServerName::try_from(cluster.name.clone())
        .with_context(|| format!("{:?} is no name of a server", cluster.name))?;
    Ok(Client::new(
        (cluster.host, cluster.port),
        &cluster.base,
        name,
        TlsConnector::from(Arc::new(config)),
        credentials.token.as_deref(),
    ))
}

fn system_authorities() -> anyhow::Result<Vec<u8>> {
    let file = AUTHORITIES.iter().find(|file| Path::new(file).is_file()).context(
        "the kubeconfig names no certificate authority, and this system has none either: give certificate-authority",
    )?;
    std::fs::read(file).with_context(|| (*file).to_owned())
}
