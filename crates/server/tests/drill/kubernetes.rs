//! Drills in a real cluster: real roles, real controllers, real processes.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use focus_testkit::wait::until;
use serde_json::{Value, json};

use crate::cluster::{Cluster, NAME, REPLICAS};
use crate::drill_process::{BINARY, PLACES, Said, finished, kill, kill_guards};
use crate::killed::{self, ByMethod};
use crate::outcome::{self, ended, refused};
use crate::scene::{LIMIT, left_out};

/// Left out where long tests, or tests with a database of their own, are.
fn no_cluster(test: &str) -> bool {
    focus_testkit::kubernetes::left_out(test) || left_out(test)
}

fn passed(said: &Said) {
    outcome::passed(said);
    let report = &said.1;
    assert_eq!((&report["planted"], &report["catalogued"]), (&json!(2), &json!(2)), "{report:#}");
    for step in report["steps"].as_array().expect("steps") {
        assert_eq!(step["ok"], true, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statefulset_scaled_to_0_comes_back_with_its_replicas_by_the_manifests_role_alone() {
    if no_cluster("a_statefulset_scaled_to_0_comes_back_with_its_replicas") {
        return;
    }
    let cluster = Cluster::begin("statefulsets").await;
    cluster.grant("scale").await;
    passed(&cluster.run("scale", &[]).await);
    cluster.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_scaled_to_0_comes_back_with_its_replicas_by_the_manifests_role_alone() {
    if no_cluster("a_deployment_scaled_to_0_comes_back_with_its_replicas") {
        return;
    }
    let cluster = Cluster::begin("deployments").await;
    cluster.grant("scale").await;
    // As a person runs it, and reads it.
    let drill = cluster.drill("scale", &[]);
    let words: Vec<OsString> =
        drill.get_args().filter(|arg| *arg != "--json").map(Into::into).collect();
    let mut told = Command::new(BINARY);
    told.args(words).env("KUBECONFIG", cluster.plane.user_kubeconfig());
    let output = tokio::task::spawn_blocking(move || told.output()).await.expect("a thread");
    let output = output.expect("the drill runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    cluster.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_pods_stay_away_until_the_outage_ends_and_then_come_back() {
    if no_cluster("deleted_pods_stay_away_until_the_outage_ends_and_then_come_back") {
        return;
    }
    for resource in ["statefulsets", "deployments"] {
        let cluster = Cluster::begin(resource).await;
        cluster.grant("delete-pods").await;
        passed(&cluster.run("delete-pods", &["--outage-for", "3s"]).await);
        cluster.nothing_is_left().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_policy_that_nothing_enforces_is_inconclusive_and_is_removed() {
    if no_cluster("a_network_policy_that_nothing_enforces_is_inconclusive_and_is_removed") {
        return;
    }
    let cluster = Cluster::begin("statefulsets").await;
    cluster.grant("network-policy").await;
    let said = cluster.run("network-policy", &[]).await;
    ended(&said, "inconclusive", "did not take the database away");
    cluster.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_a_killed_drill_left_is_removed_by_recovery_and_another_drill_is_refused() {
    if no_cluster("a_policy_that_a_killed_drill_left_is_removed_by_recovery") {
        return;
    }
    let cluster = Cluster::begin("statefulsets").await;
    cluster.grant("network-policy").await;
    let mut drill = cluster.paused("network-policy", "down_begun").await;
    kill_guards(&cluster.state());
    kill(&mut drill);
    let elsewhere = cluster.dir.path().join("elsewhere").display().to_string();
    let second = cluster.run("network-policy", &["--state-dir", &elsewhere]).await;
    refused(&second, "is there already");
    let (code, _) = finished(cluster.recover()).await;
    assert_eq!(code, Some(0));
    cluster.nothing_is_left().await;
}

/// Kills a drill by this method at each of these places.
async fn killed_at(resource: &'static str, method: &str, places: &[&str]) {
    let cluster = Cluster::begin(resource).await;
    cluster.grant(method).await;
    killed::killed_at(&ByMethod { cluster: &cluster, method }, places).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_at_any_place_of_a_scale_is_undone_to_the_original_count() {
    if no_cluster("a_drill_killed_at_any_place_of_a_scale_is_undone_to_the_original_count") {
        return;
    }
    killed_at("deployments", "scale", &PLACES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_while_it_deletes_pods_leaves_them_alone() {
    if no_cluster("a_drill_killed_while_it_deletes_pods_leaves_them_alone") {
        return;
    }
    let places = ["down_noted", "down_begun", "unreachable", "planted", "up_begun", "up"];
    killed_at("statefulsets", "delete-pods", &places).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_with_its_policy_made_leaves_none() {
    if no_cluster("a_drill_killed_with_its_policy_made_leaves_none") {
        return;
    }
    // Nothing enforces the policy, so that such a drill never gets to planting.
    let places = ["down_noted", "down_begun", "up_begun", "cleaning", "forgetting"];
    killed_at("statefulsets", "network-policy", &places).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_alone_scales_the_workload_of_a_killed_drill_up_again() {
    if no_cluster("the_guard_alone_scales_the_workload_of_a_killed_drill_up_again") {
        return;
    }
    let cluster = Cluster::begin("deployments").await;
    cluster.grant("scale").await;
    let mut drill = cluster.paused("scale", "planted").await;
    assert_eq!(cluster.replicas().await, 0);
    kill(&mut drill);
    until("the guard scales it up", LIMIT, || async {
        let replicas = cluster.replicas().await;
        if replicas == REPLICAS { Ok(()) } else { Err(replicas.to_string()) }
    })
    .await;
    assert_eq!(finished(cluster.recover()).await.0, Some(0));
    cluster.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_lost_in_the_middle_delays_the_way_up_and_loses_nothing() {
    if no_cluster("an_api_server_lost_in_the_middle_delays_the_way_up_and_loses_nothing") {
        return;
    }
    let mut cluster = Cluster::begin("statefulsets").await;
    cluster.grant("scale").await;
    let drill = cluster.paused("scale", "planted").await;
    cluster.plane.kill_server();
    cluster.files().release();
    // The way up has begun, and cannot be taken.
    let progress = cluster.files().file("progress.json");
    until("the way up begins", LIMIT, || {
        let text = std::fs::read_to_string(&progress).unwrap_or_default();
        async move { if text.contains("up_begun") { Ok(()) } else { Err(text) } }
    })
    .await;
    cluster.plane.restart_server().await;
    passed(&cluster.files().ended(drill).await);
    cluster.nothing_is_left().await;

    // And where the drill has died meanwhile, recovery waits for the API server too.
    let mut drill = cluster.paused("scale", "planted").await;
    cluster.plane.kill_server();
    kill_guards(&cluster.state());
    kill(&mut drill);
    let recovery = tokio::spawn(finished(cluster.recover()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!recovery.is_finished());
    cluster.plane.restart_server().await;
    let (code, report) = recovery.await.expect("a recovery");
    assert_eq!(code, Some(0), "{report:#}");
    cluster.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_drilled_is_refused_and_stays_as_it_was() {
    if no_cluster("what_may_not_be_drilled_is_refused_and_stays_as_it_was") {
        return;
    }
    let cluster = Cluster::begin("statefulsets").await;
    cluster.grant("scale").await;
    let api = cluster.plane.api();
    let path = cluster.path();

    // Owned and managed by others.
    let owner =
        json!({"apiVersion": "example.org/v1", "kind": "Database", "name": "main", "uid": "1"});
    let manager =
        |name: Value| json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": name}}});
    let owners = |list: Value| json!({"metadata": {"ownerReferences": list}});
    let cases = [
        (owners(json!([owner])), owners(json!([])), "owned by Database main"),
        (manager(json!("database-operator")), manager(Value::Null), "managed by database-operator"),
    ];
    for (change, back, words) in cases {
        let changed = api.patch(&path, &change).await.expect("changed");
        refused(&cluster.run("scale", &["--allow"]).await, words);
        let now = cluster.workload().await;
        assert_eq!(now["spec"], changed["spec"]);
        api.patch(&path, &back).await.expect("changed back");
    }

    // Scaled by another.
    let scalers = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    let scaler = json!({
        "metadata": {"name": "scaler"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": NAME},
            "maxReplicas": 3,
        },
    });
    api.create(scalers, &scaler).await.expect("an autoscaler");
    refused(&cluster.run("scale", &["--allow"]).await, "HorizontalPodAutoscaler scaler");
    api.delete(&format!("{scalers}/scaler")).await.expect("deleted");

    // Not marked, and then allowed after all.
    let unmarked = json!({"metadata": {"annotations": {"focus-server.io/drillable": Value::Null}}});
    api.patch(&path, &unmarked).await.expect("unmarked");
    refused(&cluster.run("scale", &[]).await, "drillable");
    let (code, report) = cluster.run("scale", &["--allow", "--dry-run"]).await;
    assert_eq!(code, Some(0), "{report:#}");

    // Not there, or not to be had.
    let absent = cluster.run("scale", &["--workload", "statefulset/absent"]).await;
    refused(&absent, "not allowed to get statefulsets");
    refused(&cluster.run("scale", &["--workload", "pod/x"]).await, "deployment/NAME");
    refused(&cluster.run("erase", &[]).await, "scale, delete-pods or network-policy");
    let admin = |workload: &str| {
        let mut command = cluster.drill("scale", &["--allow", "--workload", workload]);
        command.env("KUBECONFIG", cluster.plane.admin_kubeconfig());
        command
    };
    refused(&finished(admin("statefulset/absent")).await, "is not there");
    let mut nowhere = cluster.drill("scale", &["--allow"]);
    nowhere.env("KUBECONFIG", "/nowhere");
    refused(&finished(nowhere).await, "/nowhere");

    // The administrator by a client certificate instead of a token.
    let mut certified = cluster.drill("scale", &["--allow", "--dry-run"]);
    certified.env("KUBECONFIG", cluster.plane.certificate_kubeconfig());
    let (code, report) = finished(certified).await;
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(cluster.replicas().await, REPLICAS);

    // Already scaled to 0, by a person.
    let zero = json!({"spec": {"replicas": 0}});
    api.patch(&path, &zero).await.expect("scaled");
    let (code, report) = cluster.run("scale", &["--allow"]).await;
    assert!(code == Some(2) || code == Some(3), "{report:#}");
    assert_eq!(cluster.replicas().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_permission_that_is_missing_is_named_before_anything_is_broken() {
    if no_cluster("each_permission_that_is_missing_is_named_before_anything_is_broken") {
        return;
    }
    let cluster = Cluster::begin("statefulsets").await;
    let api = cluster.plane.api();
    for method in ["scale", "delete-pods", "network-policy"] {
        cluster.grant(method).await;
        let path = Cluster::role_path(method);
        let whole = api.get(&path).await.expect("the role");
        let rules = whole["rules"].as_array().expect("rules").len();
        for rule in 0..rules {
            let verbs = whole["rules"][rule]["verbs"].as_array().expect("verbs").clone();
            for verb in &verbs {
                let word = verb.as_str().expect("a verb");
                let resource = whole["rules"][rule]["resources"][0].as_str().expect("a resource");
                let (name, sub) = resource.split_once('/').unwrap_or((resource, ""));
                let right = json!({
                    "namespace": "default", "verb": word, "resource": name, "subresource": sub,
                    "group": whole["rules"][rule]["apiGroups"][0],
                    "name": whole["rules"][rule]["resourceNames"][0].as_str().unwrap_or_default(),
                });
                let mut role = api.get(&path).await.expect("the role");
                let fewer: Vec<&Value> = verbs.iter().filter(|other| *other != verb).collect();
                role["rules"] = whole["rules"].clone();
                match fewer.is_empty() {
                    true => {
                        role["rules"].as_array_mut().expect("rules").remove(rule);
                    }
                    false => role["rules"][rule]["verbs"] = json!(fewer),
                }
                api.replace(&path, &role).await.expect("a smaller role");
                cluster.until_user_may(&right, false).await;
                let before = cluster.workload().await["metadata"]["generation"].clone();
                let said = cluster.run(method, &[]).await;
                refused(&said, &format!("not allowed to {word} {resource}"));
                println!("{method} without {word} {resource}: {}", said.1["reason"]);
                assert_eq!(cluster.workload().await["metadata"]["generation"], before);
            }
        }
        api.delete(&path).await.expect("deleted");
        let list = json!({
            "namespace": "default", "verb": "list",
            "group": "autoscaling", "resource": "horizontalpodautoscalers",
        });
        cluster.until_user_may(&list, false).await;
    }
    cluster.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_runs_in_the_cluster_as_a_job_with_its_service_account() {
    if no_cluster("a_drill_runs_in_the_cluster_as_a_job_with_its_service_account") {
        return;
    }
    let cluster = Cluster::begin("statefulsets").await;
    cluster.grant("scale").await;
    let api = cluster.plane.api();
    let account = json!({"metadata": {"name": "focus-drill"}});
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    api.create(accounts, &account).await.expect("an account");
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "drill"},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {
                "serviceAccountName": "focus-drill",
                "restartPolicy": "Never",
                "containers": [{
                    "name": "drill", "image": "focus-server:test", "args": cluster.flags("scale"),
                    "env": [{"name": "HOME", "value": "/nowhere"}],
                }],
            }},
        },
    });
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    api.create(jobs, &job).await.expect("a job");
    let pods = "/api/v1/namespaces/default/pods?labelSelector=job-name%3Ddrill";
    let status = until("the job's end", Duration::from_secs(120), || async {
        let job = api.get(&format!("{jobs}/drill")).await?;
        let ended = |field: &str| job["status"][field].as_u64().unwrap_or(0) > 0;
        let over = ended("succeeded") || ended("failed");
        if over { Ok(job["status"].clone()) } else { Err(job["status"].to_string()) }
    })
    .await;
    let pods = api.get(pods).await.expect("pods");
    let name = pods["items"][0]["metadata"]["name"].as_str().expect("a pod").to_owned();
    let printed = cluster.node.printed(&name);
    assert_eq!(status["succeeded"], 1, "{status} {printed}");
    // A pod's log has both streams: without the server's token the report is not posted, and that is told.
    let json: Vec<&str> = printed.lines().skip_while(|line| !line.starts_with('{')).collect();
    let json = json.join("\n");
    let mut values = serde_json::Deserializer::from_str(&json).into_iter::<Value>();
    passed(&(Some(0), values.next().expect("a value").expect("a report")));
    assert!(printed.contains("the server has not taken the report"), "{printed}");
    cluster.nothing_is_left().await;
}

#[test]
fn the_drills_of_manifests_and_chart_are_spelt_as_the_program_takes_them() {
    if no_cluster("the_drills_of_manifests_and_chart_are_spelt_as_the_program_takes_them") {
        return;
    }
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    let manifest = std::fs::read_to_string(format!("{deploy}/kubernetes/drill.yaml"));
    let rendered = Command::new(focus_testkit::kubernetes::program("helm"))
        .args(["template", "check", "--kube-version", "1.34.2"])
        .args([format!("{deploy}/helm/focus-server"), "--values".to_owned()])
        .arg(format!("{deploy}/helm/everything.yaml"))
        .output()
        .expect("helm runs");
    for stream in [manifest.expect("a manifest"), String::from_utf8_lossy(&rendered.stdout).into()]
    {
        let (_, after) = stream.split_once("kind: CronJob").expect("a drill");
        let (_, after) = after.split_once("args:\n").expect("arguments");
        let words: Vec<&str> =
            after.lines().map_while(|line| line.trim_start().strip_prefix("- ")).collect();
        assert_eq!(words[..2], ["drill", "run"]);
        assert!(words.len() >= 6, "{words:?}");
        // Whatever stands before `--help` is looked at first.
        let output = Command::new(BINARY).args(&words).arg("--help").output().expect("it runs");
        assert!(output.status.success(), "{words:?} {output:?}");
        let output = Command::new(BINARY).args(&words).arg("--mispelt").output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
    }
}
