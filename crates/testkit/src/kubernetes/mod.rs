//! A real Kubernetes control plane per test, on the loopback address, and a node for its pods.
//!
//! The API server, its store and the controllers are the real programs. What they lack is a kubelet
//! and a scheduler: `node::Node` stands in for both.

pub mod api;
pub mod node;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mongo::{free_port, tools};
use crate::wait::until;
use api::Api;

/// How long the control plane may take to be ready, on a machine that is busy.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// The token of the administrator, and that of a user without any rights.
const ADMIN: &str = "administrators-token";
const USER: &str = "users-token";

/// The name of the user without any rights.
pub const USER_NAME: &str = "user";

/// Controllers that the tests' workloads need.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,statefulset-controller,job-controller,cronjob-controller,serviceaccount-controller,root-ca-certificate-publisher-controller,namespace-controller,garbage-collector-controller,disruption-controller";

/// The Kubernetes tests run only where long tests do, and tests with a database; where they do not, this
/// one says so.
pub fn left_out(test: &str) -> bool {
    let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let runs = set("FOCUS_TEST_LONG") && !set("FOCUS_TEST_EMBEDDED_ONLY");
    if !runs {
        println!("left out, needs a Kubernetes control plane (`cargo xtask test --all`): {test}");
    }
    !runs
}

/// A program of the control plane, or a tool beside it.
///
/// # Panics
/// It is not installed.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(tools().join("bin"));
    let found = folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not found: `cargo xtask test --all` installs or names it")
    })
}

/// A control plane of this test's own, ended when dropped.
#[derive(Debug)]
pub struct ControlPlane {
    store: Child,
    server: Option<Child>,
    controllers: Child,
    port: u16,
    store_port: u16,
    api: Api,
    dir: TempDir,
}

impl ControlPlane {
    /// Starts one and waits until it takes objects.
    ///
    /// # Panics
    /// A program is missing, or does not come up.
    pub async fn start() -> ControlPlane {
        // The store syncs every change: in memory a slow disk fails no test.
        let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        let dir = dir.expect("a folder for the control plane");
        let path = dir.path();
        make_keys(path);
        let tokens = format!("{ADMIN},admin,1,\"system:masters\"\n{USER},{USER_NAME},2\n");
        std::fs::write(path.join("tokens.csv"), tokens).expect("tokens");
        let (store_port, port) = (free_port(), free_port());
        let store = spawn_store(path, store_port);
        let server = spawn_server(path, port, store_port);
        // The server makes its own certificate at its first start.
        until("the API server's certificate", READY_LIMIT, || async {
            authority(path).map(|_| ())
        })
        .await;
        let authority = authority(path).expect("a certificate");
        std::fs::write(path.join("authority.crt"), &authority).expect("the authority");
        let api = Api::new(port, ADMIN, authority.as_bytes());
        let config = kubeconfig(port, &path.join("authority.crt"), &json!({"token": ADMIN}));
        std::fs::write(path.join("admin.kubeconfig"), config).expect("a configuration");
        // Controllers that find no server within ten seconds give up.
        until("the API server is ready", READY_LIMIT, || api.get("/readyz")).await;
        let controllers = spawn_controllers(path);
        let plane =
            ControlPlane { store, server: Some(server), controllers, port, store_port, api, dir };
        plane.ready().await;
        plane
    }

    /// Waits until it takes pods.
    ///
    /// # Panics
    /// It does not within two minutes.
    pub async fn ready(&self) {
        until("the API server is ready", READY_LIMIT, || self.api.get("/readyz")).await;
        until("the controllers make service accounts", READY_LIMIT, || {
            self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        })
        .await;
    }

    /// Calls it as the administrator.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Calls it as the user who has no rights but those that a test gives.
    pub fn user(&self) -> Api {
        self.api.with_token(USER)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, for a test's own files too.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The certificate of the authority that its own certificate is from.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.crt")
    }

    /// The administrator's kubeconfig.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.dir.path().join("admin.kubeconfig")
    }

    /// The kubeconfig of the user who has no rights but those that a test gives.
    pub fn user_kubeconfig(&self) -> PathBuf {
        self.write_kubeconfig("user", &json!({"token": USER}))
    }

    /// The administrator's kubeconfig by a client certificate instead of a token.
    pub fn certificate_kubeconfig(&self) -> PathBuf {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        let user = json!({
            "client-certificate": file("client.crt"),
            "client-key": file("client.key"),
        });
        self.write_kubeconfig("certificate", &user)
    }

    /// A kubeconfig with these fields of a user.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write_kubeconfig(&self, name: &str, user: &Value) -> PathBuf {
        let file = self.dir.path().join(format!("{name}.kubeconfig"));
        let text = kubeconfig(self.port, &self.authority(), user);
        std::fs::write(&file, text).expect("a configuration");
        file
    }

    /// The API server is gone at once; what it stored stays.
    pub fn kill_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            end(&mut server);
        }
    }

    /// The API server is there again, at the same port.
    ///
    /// # Panics
    /// It does not come up.
    pub async fn restart_server(&mut self) {
        self.kill_server();
        self.server = Some(spawn_server(self.dir.path(), self.port, self.store_port));
        self.ready().await;
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        end(&mut self.controllers);
        self.kill_server();
        end(&mut self.store);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Keys of the service accounts, and a client's certificate with the administrator's rights.
fn make_keys(dir: &Path) {
    let openssl = |args: &str| {
        let output = Command::new(program("openssl"))
            .args(args.split(' '))
            .current_dir(dir)
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "openssl {args}: {output:?}");
    };
    openssl("genrsa -out accounts.key 2048");
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {curve} -days 2 -subj /CN=clients -keyout ca.key -out ca.crt"));
    openssl(&format!(
        "req {curve} -subj /O=system:masters/CN=certified -keyout client.key -out client.csr"
    ));
    // Without an extension the certificate would be of a version that TLS libraries refuse.
    std::fs::write(dir.join("client.ext"), "basicConstraints=CA:FALSE\n").expect("extensions");
    let sign = "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -set_serial 2 -days 2";
    openssl(&format!("{sign} -extfile client.ext -out client.crt"));
}

/// The authority that signed the API server's own certificate: the last one in its file.
fn authority(dir: &Path) -> Result<String, String> {
    let file = dir.join("certificates/apiserver.crt");
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let whole = text.trim_end().ends_with("-----END CERTIFICATE-----");
    match text.rfind("-----BEGIN CERTIFICATE-----") {
        Some(at) if at > 0 && whole => Ok(text[at..].to_owned()),
        _ => Err("not whole yet".to_owned()),
    }
}

/// JSON is YAML.
fn kubeconfig(port: u16, authority: &Path, user: &Value) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": authority,
        }}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    config.to_string()
}

fn spawn(dir: &Path, name: &str, args: &[String]) -> Child {
    let log = dir.join(format!("{name}.log"));
    let log = File::options().create(true).append(true).open(log).expect("a log");
    Command::new(program(name))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn spawn_store(dir: &Path, port: u16) -> Child {
    let (client, peer) =
        (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()));
    let args = [
        "--data-dir=store".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ];
    spawn(dir, "etcd", &args)
}

fn spawn_server(dir: &Path, port: u16, store_port: u16) -> Child {
    let args = [
        format!("--etcd-servers=http://127.0.0.1:{store_port}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--cert-dir=certificates".to_owned(),
        "--client-ca-file=ca.crt".to_owned(),
        "--token-auth-file=tokens.csv".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-account-key-file=accounts.key".to_owned(),
        "--service-account-signing-key-file=accounts.key".to_owned(),
    ];
    spawn(dir, "kube-apiserver", &args)
}

fn spawn_controllers(dir: &Path) -> Child {
    let args = [
        "--kubeconfig=admin.kubeconfig".to_owned(),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".to_owned(),
        format!("--secure-port={}", free_port()),
        "--bind-address=127.0.0.1".to_owned(),
        "--cert-dir=controllers".to_owned(),
        "--service-account-private-key-file=accounts.key".to_owned(),
        "--root-ca-file=authority.crt".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ];
    spawn(dir, "kube-controller-manager", &args)
}
