//! Kubeconfig files: the cluster and the user of a context.
//!
//! Settings that would silently weaken or change a call (an unchecked certificate, a proxy, acting as somebody
//! else) are refused, not ignored.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

/// Bytes of a kubeconfig at most.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A program that gives credentials has to end within this.
const PROGRAM_LIMIT: Duration = Duration::from_secs(30);

/// Where an API server is.
pub struct Cluster {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path below which the API is.
    pub base: String,
    /// The name that its certificate has to be for.
    pub name: String,
    /// Certificates of its authority; none where those that the system trusts count.
    pub authority_pem: Option<Vec<u8>>,
}

/// Who calls an API server.
pub struct Credentials {
    /// A bearer token.
    pub token: Option<String>,
    /// A client certificate with its chain, and its key.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// A user of a kubeconfig.
pub struct User {
    name: String,
    fields: Value,
    /// The folder of the file that it is from: its relative paths begin there.
    folder: PathBuf,
}

/// A file's content, and its folder.
type Read = (Value, PathBuf);

fn load(files: &[PathBuf]) -> anyhow::Result<Vec<Read>> {
    files
        .iter()
        .map(|file| {
            let told = || format!("{} cannot be read", file.display());
            let size = std::fs::metadata(file).with_context(told)?.len();
            ensure!(size <= BYTES_MAX, "{}: too large", told());
            let text = std::fs::read_to_string(file).with_context(told)?;
            let documents = YamlLoader::load_from_str(&text).with_context(|| {
                format!("{} is no YAML: mend it, or set KUBECONFIG", file.display())
            })?;
            let value = documents.first().map_or(Value::Null, json_of);
            let folder = file.parent().map(Path::to_owned).unwrap_or_default();
            Ok((value, folder))
        })
        .collect()
}

/// YAML as JSON; keys that are no text are left out.
fn json_of(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) => json!(text),
        Yaml::Integer(number) => json!(number),
        // As written: a token of digits with a point stays what it is.
        Yaml::Real(text) => json!(text),
        Yaml::Boolean(yes) => json!(yes),
        Yaml::Array(items) => items.iter().map(json_of).collect(),
        Yaml::Hash(fields) => {
            let fields = fields.iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
            let fields: Map<String, Value> =
                fields.map(|(key, value)| (key.to_owned(), json_of(value))).collect();
            Value::Object(fields)
        }
        Yaml::Null | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}

/// The entry of that name in a list; the first file that has it counts.
fn entry<'a>(
    files: &'a [Read],
    list: &str,
    name: &str,
    field: &str,
) -> anyhow::Result<(&'a Value, &'a Path)> {
    for (value, folder) in files {
        let entries = value[list].as_array().into_iter().flatten();
        if let Some(found) = entries.into_iter().find(|entry| entry["name"] == name) {
            return Ok((&found[field], folder));
        }
    }
    bail!("the kubeconfig has no {field} {name:?}")
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value[field].as_str().filter(|text| !text.is_empty())
}

/// The current context: the first that a file names.
///
/// # Errors
/// No file names a context, or a file cannot be read.
pub fn current_context(files: &[PathBuf]) -> anyhow::Result<String> {
    let files = load(files)?;
    let named = files.iter().find_map(|(value, _)| text(value, "current-context"));
    named.map(str::to_owned).context(
        "the kubeconfig has no current-context: choose one with `kubectl config use-context`",
    )
}

/// The namespace of a context; none where it names none.
///
/// # Errors
/// The context is not there, or a file cannot be read.
pub fn namespace(files: &[PathBuf], context: &str) -> anyhow::Result<Option<String>> {
    let files = load(files)?;
    let (context, _) = entry(&files, "contexts", context, "context")?;
    Ok(text(context, "namespace").map(str::to_owned))
}

/// The cluster and the user of a context.
///
/// # Errors
/// The context, the cluster or the user is not there, or one asks for what is not supported.
pub fn read(files: &[PathBuf], context: &str) -> anyhow::Result<(Cluster, User)> {
    let files = load(files)?;
    let (found, _) = entry(&files, "contexts", context, "context")?;
    let missing = |what: &str| format!("context {context:?} of the kubeconfig names no {what}");
    let cluster = text(found, "cluster").with_context(|| missing("cluster"))?;
    let user = text(found, "user").with_context(|| missing("user"))?;
    let (fields, folder) = entry(&files, "clusters", cluster, "cluster")?;
    let cluster = cluster_of(cluster, fields, folder)?;
    let (fields, folder) = entry(&files, "users", user, "user")?;
    let user = User { name: user.to_owned(), fields: fields.clone(), folder: folder.to_owned() };
    Ok((cluster, user))
}

fn cluster_of(name: &str, fields: &Value, folder: &Path) -> anyhow::Result<Cluster> {
    let server = text(fields, "server")
        .with_context(|| format!("cluster {name:?} of the kubeconfig names no server"))?;
    if fields["insecure-skip-tls-verify"] == true {
        bail!(
            "cluster {name:?} of the kubeconfig has insecure-skip-tls-verify: a drill takes a database away only where it knows whom it talks to. Give certificate-authority-data instead"
        );
    }
    if text(fields, "proxy-url").is_some() {
        bail!("cluster {name:?} of the kubeconfig has a proxy-url, which is not supported");
    }
    let uri: hyper::Uri = server.parse().with_context(|| format!("server {server:?}"))?;
    ensure!(
        uri.scheme_str() == Some("https"),
        "cluster {name:?} of the kubeconfig has the server {server:?}: only https is supported"
    );
    let host = uri.host().with_context(|| format!("server {server:?} has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let authority_pem =
        data_or_file(fields, "certificate-authority-data", "certificate-authority", folder)?;
    Ok(Cluster {
        port: uri.port_u16().unwrap_or(443),
        base: uri.path().to_owned(),
        name: text(fields, "tls-server-name").map_or_else(|| host.clone(), str::to_owned),
        host,
        authority_pem,
    })
}

fn data_or_file(
    fields: &Value,
    data: &str,
    file: &str,
    folder: &Path,
) -> anyhow::Result<Option<Vec<u8>>> {
    if let Some(encoded) = text(fields, data) {
        let decoded = STANDARD.decode(encoded.trim());
        return decoded.map(Some).map_err(|_| anyhow::anyhow!("{data} is not base64"));
    }
    let Some(path) = text(fields, file) else { return Ok(None) };
    let path = folder.join(path);
    std::fs::read(&path).map(Some).with_context(|| format!("{file} {}", path.display()))
}

impl User {
    /// The user's credentials. The user's program is asked where there is one.
    ///
    /// # Errors
    /// A file is missing, the program fails, or the kind of credentials is not supported.
    pub async fn credentials(&self) -> anyhow::Result<Credentials> {
        let name = &self.name;
        for field in ["as", "as-uid", "as-groups", "as-user-extra", "auth-provider", "username"] {
            ensure!(
                self.fields[field].is_null(),
                "user {name:?} of the kubeconfig has {field}, which is not supported: use a token, a client certificate or exec"
            );
        }
        if self.fields["exec"].is_object() {
            return self.ask_program().await;
        }
        let token = match (text(&self.fields, "token"), text(&self.fields, "tokenFile")) {
            (Some(token), _) => Some(token.to_owned()),
            (None, Some(file)) => {
                let path = self.folder.join(file);
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("tokenFile {}", path.display()))?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
        };
        let part = |data, file| data_or_file(&self.fields, data, file, &self.folder);
        let certificate = part("client-certificate-data", "client-certificate")?
            .zip(part("client-key-data", "client-key")?);
        ensure!(
            token.is_some() || certificate.is_some(),
            "user {name:?} of the kubeconfig has neither token, tokenFile, client certificate with key, nor exec"
        );
        Ok(Credentials { token, certificate })
    }

    /// The credentials that the `exec` program prints.
    async fn ask_program(&self) -> anyhow::Result<Credentials> {
        let exec = &self.fields["exec"];
        let command = text(exec, "command").context("exec names no command")?;
        // A path is relative to the file; a bare name is looked for on the PATH.
        let program = match command.contains('/') {
            true => self.folder.join(command),
            false => PathBuf::from(command),
        };
        let version = text(exec, "apiVersion").unwrap_or("client.authentication.k8s.io/v1");
        let info = json!({
            "apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": false},
        });
        let mut process = tokio::process::Command::new(&program);
        process
            .args(exec["args"].as_array().into_iter().flatten().filter_map(Value::as_str))
            .env("KUBERNETES_EXEC_INFO", info.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for variable in exec["env"].as_array().into_iter().flatten() {
            if let Some((name, value)) = text(variable, "name").zip(variable["value"].as_str()) {
                process.env(name, value);
            }
        }
        let output = tokio::time::timeout(PROGRAM_LIMIT, process.output()).await;
        let output = output
            .with_context(|| format!("{command} gave no credentials within 30 s"))?
            .with_context(|| format!("{command}, which gives the credentials, cannot be run"))?;
        // What it printed may hold a secret, so only its status is told.
        ensure!(
            output.status.success(),
            "{command}, which gives the credentials, ended with {}: try it by hand",
            output.status
        );
        let answer: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| anyhow::anyhow!("what {command} printed is no ExecCredential"))?;
        let status = &answer["status"];
        let pem = |field: &str| text(status, field).map(|pem| pem.as_bytes().to_vec());
        let credentials = Credentials {
            token: text(status, "token").map(str::to_owned),
            certificate: pem("clientCertificateData").zip(pem("clientKeyData")),
        };
        ensure!(
            credentials.token.is_some() || credentials.certificate.is_some(),
            "what {command} printed holds no credentials"
        );
        Ok(credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::TempDir::new().expect("a folder");
        let file = dir.path().join("config");
        std::fs::write(&file, text).expect("written");
        (dir, vec![file])
    }

    fn config(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n- name: here\n  context:\n    cluster: c\n    user: u\n    namespace: data\nclusters:\n- name: c\n  cluster:\n    {cluster}\nusers:\n- name: u\n  user:\n    {user}\n"
        )
    }

    #[tokio::test]
    async fn a_context_leads_to_its_cluster_and_user() {
        let text = config(
            "server: https://[::1]:6443/k8s/clusters/one\n    certificate-authority-data: UEVN",
            "tokenFile: secret",
        );
        let (dir, files) = written(&text);
        std::fs::write(dir.path().join("secret"), "a-token\n").expect("written");
        assert_eq!(current_context(&files).expect("one"), "here");
        assert_eq!(namespace(&files, "here").expect("read").as_deref(), Some("data"));
        let (cluster, user) = read(&files, "here").expect("read");
        assert_eq!((cluster.host.as_str(), cluster.port), ("::1", 6443));
        assert_eq!(cluster.base, "/k8s/clusters/one");
        assert_eq!(cluster.authority_pem.as_deref(), Some(&b"PEM"[..]));
        let credentials = user.credentials().await.expect("credentials");
        assert_eq!(credentials.token.as_deref(), Some("a-token"));
    }

    #[tokio::test]
    async fn a_program_gives_the_credentials() {
        let program = "exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: sh\n      args: ['-c', 'printf ''{\"status\":{\"token\":\"%s\"}}'' \"$WORD\"']\n      env:\n      - {name: WORD, value: spoken}";
        let (_dir, files) = written(&config("server: https://h", program));
        let (_, user) = read(&files, "here").expect("read");
        let credentials = user.credentials().await.expect("credentials");
        assert_eq!(credentials.token.as_deref(), Some("spoken"));
    }

    #[test]
    fn what_would_weaken_a_call_is_refused() {
        for cluster in [
            "server: http://h",
            "server: https://h\n    insecure-skip-tls-verify: true",
            "server: https://h\n    proxy-url: http://p",
            "certificate-authority-data: UEVN",
            "server: https://h\n    certificate-authority-data: '***'",
        ] {
            let (_dir, files) = written(&config(cluster, "token: t"));
            assert!(read(&files, "here").is_err(), "{cluster}");
        }
    }

    #[tokio::test]
    async fn a_user_without_credentials_or_with_others_identity_is_refused() {
        for user in ["x: y", "token: t\n    as: somebody", "auth-provider: {name: p}"] {
            let (_dir, files) = written(&config("server: https://h", user));
            let (_, user_read) = read(&files, "here").expect("read");
            assert!(user_read.credentials().await.is_err(), "{user}");
        }
    }

    #[test]
    fn damaged_files_are_named() {
        for text in ["{", "current-context: 1", "[]", "", "a: &a [*a]"] {
            let (_dir, files) = written(text);
            assert!(current_context(&files).is_err(), "{text}");
        }
        assert!(current_context(&[PathBuf::from("/nowhere")]).is_err());
    }
}
