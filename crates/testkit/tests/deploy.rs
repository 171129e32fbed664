//! The chart and the manifests, as the API server itself takes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use focus_testkit::kubernetes::api::Api;
use focus_testkit::kubernetes::{ControlPlane, left_out, program};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The kind that the chart makes for the Prometheus operator. The API server knows it only with
/// that operator.
const OF_OTHERS: &str = "monitoring.coreos.com/v1";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// One object of a YAML stream.
struct Object {
    version: String,
    kind: String,
    namespace: Option<String>,
    yaml: String,
}

/// The objects of a YAML stream, as far as is needed to send each to its place.
fn objects(stream: &str) -> Vec<Object> {
    let documents = format!("\n{stream}");
    documents
        .split("\n---")
        .filter_map(|yaml| {
            let top = |key: &str| {
                yaml.lines()
                    .find_map(|line| line.strip_prefix(key))
                    .map(|rest| rest.trim().to_owned())
            };
            let after = yaml.split_once("\nmetadata:").map_or("", |(_, rest)| rest);
            let meta: Vec<&str> =
                after.lines().skip(1).take_while(|line| line.starts_with(' ')).collect();
            let namespace = meta.iter().find_map(|line| line.strip_prefix("  namespace: "));
            Some(Object {
                version: top("apiVersion: ")?,
                kind: top("kind: ")?,
                namespace: namespace.map(|name| name.trim().to_owned()),
                yaml: yaml.to_owned(),
            })
        })
        .collect()
}

/// The path of an object's collection, as the server names it.
async fn collection(api: &Api, object: &Object) -> String {
    let group = match object.version.contains('/') {
        true => format!("/apis/{}", object.version),
        false => format!("/api/{}", object.version),
    };
    let known = api.get(&group).await.expect("a group of the API");
    let resources = known["resources"].as_array().cloned().unwrap_or_default();
    let resource = resources
        .iter()
        .find(|entry| {
            let name = entry["name"].as_str().unwrap_or("/");
            entry["kind"] == object.kind && !name.contains('/')
        })
        .unwrap_or_else(|| panic!("{} is not known", object.kind));
    let name = resource["name"].as_str().expect("a name");
    let namespace = object.namespace.as_deref().unwrap_or("default");
    match resource["namespaced"] == true {
        true => format!("{group}/namespaces/{namespace}/{name}"),
        false => format!("{group}/{name}"),
    }
}

/// Sends each object to the server, which checks it as if it were to be kept; unknown fields are
/// errors.
async fn dry_run(api: &Api, what: &str, stream: &str) {
    let mut taken = BTreeMap::<String, u32>::new();
    for object in objects(stream) {
        if object.version == OF_OTHERS {
            println!("{what}: {} is left out: its kind comes with an operator", object.kind);
            continue;
        }
        let path = collection(api, &object).await;
        let path = format!("{path}?dryRun=All&fieldValidation=Strict");
        if let Err(error) = api.create_yaml(&path, &object.yaml).await {
            panic!("{what}: {error}\n{}", object.yaml);
        }
        *taken.entry(object.kind).or_default() += 1;
    }
    println!("{what}: taken by server-side dry run: {taken:?}");
    assert!(!taken.is_empty(), "{what} holds no objects");
}

/// What `helm template` makes of the chart with these arguments.
fn rendered(args: &[&str]) -> String {
    let chart = repository().join("deploy/helm/focus-server");
    let output = Command::new(program("helm"))
        .args(["template", "check"])
        .arg(&chart)
        .args(["--kube-version", "1.34.2"])
        .args(args)
        .output()
        .expect("helm runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The manifests, by their files' names.
fn manifests() -> Vec<(String, String)> {
    let folder = repository().join("deploy/kubernetes");
    let mut found: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("manifests")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a manifest"))
        })
        .collect();
    found.sort();
    assert!(found.len() >= 3, "{found:?}");
    found
}

/// Every way in which the chart is rendered here: values, and what they are called.
fn renderings() -> Vec<(String, String)> {
    let everything = repository().join("deploy/helm/everything.yaml").display().to_string();
    let all = ["--values", &everything];
    let with = |more: &[&'static str]| rendered(&[&all[..], more].concat());
    vec![
        ("chart, defaults".to_owned(), rendered(&[])),
        ("chart, everything".to_owned(), with(&[])),
        ("chart, delete-pods".to_owned(), with(&["--set", "drill.method=delete-pods"])),
        ("chart, network-policy".to_owned(), with(&["--set", "drill.method=network-policy"])),
        (
            "chart, deployment".to_owned(),
            with(&["--set", "drill.workload=deployment/db,serviceAccount.name=given"]),
        ),
    ]
}

/// Schemas of every kind of these objects, made from the API server's own description.
async fn schemas(api: &Api, dir: &Path, objects: &[Object]) {
    for object in objects {
        let file = dir.join(schema_name(object));
        if object.version == OF_OTHERS || file.exists() {
            continue;
        }
        let path = match object.version.contains('/') {
            true => format!("/openapi/v3/apis/{}", object.version),
            false => format!("/openapi/v3/api/{}", object.version),
        };
        let mut told = api.get(&path).await.expect("a schema");
        let (group, version) = object.version.rsplit_once('/').unwrap_or(("", &object.version));
        let of_kind = json!({"group": group, "version": version, "kind": object.kind});
        let known = told["components"]["schemas"].as_object().expect("schemas");
        let name = known
            .iter()
            .find(|(_, schema)| {
                let kinds = schema["x-kubernetes-group-version-kind"].as_array();
                kinds.is_some_and(|kinds| kinds.len() == 1 && kinds.contains(&of_kind))
            })
            .map(|(name, _)| name.clone())
            .unwrap_or_else(|| panic!("no schema of {}", object.kind));
        close(&mut told["components"]);
        let schema = json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": told["components"],
        });
        std::fs::write(file, schema.to_string()).expect("written");
    }
}

/// The name under which kubeconform looks for a schema: kind, the group's first word, version.
fn schema_name(object: &Object) -> String {
    let (group, version) = match object.version.split_once('/') {
        Some((group, version)) => (group, format!("-{version}")),
        None => (object.version.as_str(), String::new()),
    };
    let group = group.split('.').next().unwrap_or_default();
    format!("{}-{group}{version}.json", object.kind).to_lowercase()
}

/// Objects have the fields that their schema names, and no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let open = fields.get("additionalProperties").is_none();
            if open && fields.get("properties").is_some_and(Value::is_object) {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn kubeconform(schemas: &Path, stream: &str) -> (bool, String) {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("stream.yaml");
    std::fs::write(&file, stream).expect("written");
    let place = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", schemas.display());
    let output = Command::new(program("kubeconform"))
        .args(["-strict", "-summary", "-output", "json", "-skip", "ServiceMonitor,PrometheusRule"])
        .args(["-kubernetes-version", "1.34.2", "-schema-location", &place])
        .arg(&file)
        .output()
        .expect("kubeconform runs");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

fn summary(said: &str) -> Map<String, Value> {
    let value: Value = serde_json::from_str(said).unwrap_or_default();
    value["summary"].as_object().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn chart_and_manifests_are_taken_by_a_real_api_server() {
    if left_out("chart_and_manifests_are_taken_by_a_real_api_server") {
        return;
    }
    let plane = ControlPlane::start().await;
    let namespace = json!({"metadata": {"name": "databases"}});
    plane.api().create("/api/v1/namespaces", &namespace).await.expect("a namespace");
    for (what, stream) in manifests().into_iter().chain(renderings()) {
        dry_run(plane.api(), &what, &stream).await;
    }
    // The check is one: a misspelt field is refused.
    let misspelt = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndatas: {}\n";
    let path = "/api/v1/namespaces/default/configmaps?dryRun=All&fieldValidation=Strict";
    plane.api().create_yaml(path, misspelt).await.expect_err("refused");
}

/// The rules of the roles in a stream, by the roles' names, as the server understands them.
async fn rules(api: &Api, stream: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for object in objects(stream).iter().filter(|object| object.kind == "Role") {
        let path = format!("{}?dryRun=All", collection(api, object).await);
        let role = api.create_yaml(&path, &object.yaml).await.expect("a role");
        let rules = role["rules"].as_array().cloned().unwrap_or_default();
        let mut rules: Vec<String> = rules.iter().map(Value::to_string).collect();
        rules.sort();
        let name = role["metadata"]["name"].as_str().expect("a name").to_owned();
        found.insert(name, rules);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_gives_its_drill_the_roles_that_drills_are_tested_with() {
    if left_out("the_chart_gives_its_drill_the_roles_that_drills_are_tested_with") {
        return;
    }
    let plane = ControlPlane::start().await;
    let file = repository().join("deploy/kubernetes/drill-role.yaml");
    let tested = rules(plane.api(), &std::fs::read_to_string(file).expect("a manifest")).await;
    assert_eq!(tested.len(), 3);
    for method in ["scale", "delete-pods", "network-policy"] {
        let set = format!(
            "drill.enabled=true,drill.workload=statefulset/mongodb,mongodb.existingSecret=s,drill.method={method}"
        );
        let stream = rendered(&["--set", &set]);
        let given: Vec<_> = rules(plane.api(), &stream).await.into_values().collect();
        assert_eq!(given, [tested[&format!("focus-drill-{method}")].clone()], "{method}");
    }
    // And Helm's own dry run, which asks the server too.
    let output = Command::new(program("helm"))
        .args(["install", "check"])
        .arg(repository().join("deploy/helm/focus-server"))
        .args(["--dry-run=server", "--kubeconfig"])
        .arg(plane.admin_kubeconfig())
        .output()
        .expect("helm runs");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chart_and_manifests_conform_to_the_schemas_of_the_api_server() {
    if left_out("chart_and_manifests_conform_to_the_schemas_of_the_api_server") {
        return;
    }
    let plane = ControlPlane::start().await;
    let dir = TempDir::new().expect("a folder");
    for (what, stream) in manifests().into_iter().chain(renderings()) {
        schemas(plane.api(), dir.path(), &objects(&stream)).await;
        let (good, said) = kubeconform(dir.path(), &stream);
        assert!(good, "{what}: {said}");
        let told = summary(&said);
        println!("{what}: kubeconform: {told:?}");
        assert!(told["valid"].as_u64() > Some(0), "{said}");
    }
    // The check is one: a misspelt field and a wrong type are found.
    for wrong in ["datas: {}", "data: 1"] {
        let stream = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n{wrong}\n");
        let (good, said) = kubeconform(dir.path(), &stream);
        assert!(!good, "{said}");
    }
}
