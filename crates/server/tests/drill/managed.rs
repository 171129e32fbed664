//! Databases that a real systemd or a real container engine runs: stopped and started by a drill, which
//! is killed at every place.

use serde_json::Value;
use tempfile::TempDir;

use crate::drill_process::{PLACES, finished};
use crate::killed::killed_at;
use crate::node::{Keeper, Node};
use crate::outcome::{ended, passed};
use crate::scene::{Scene, Way, left_out, long};

/// A site whose database such a keeper runs; none where it does not run here, which is said.
async fn begin(way: Way, test: &str) -> Option<Scene> {
    if left_out(test) {
        return None;
    }
    let dir = TempDir::new().expect("a folder");
    let keeper = Keeper::start(way, dir.path())?;
    let node = Node::kept(dir.path(), keeper);
    Some(Scene::on(dir, node, way, 5, &[]).await)
}

/// Killed at every place, or at some where no long tests are asked for.
async fn killed_everywhere(scene: &Scene) {
    let some = ["armed", "down_begun", "planted", "up_begun"];
    killed_at(scene, if long() { &PLACES } else { &some }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_stops_a_unit_of_systemd_and_starts_what_went_down_with_it() {
    let Some(scene) = begin(Way::Systemd, "systemd").await else { return };
    let Keeper::Units(manager) = scene.node.keeper() else { panic!("a manager") };
    let database = scene.node.name();
    for (name, needs) in [("needs-it", &*database), ("needs-that", "needs-it")] {
        let text = format!(
            "[Unit]\nRequires={needs}.service\nAfter={needs}.service\n[Service]\nExecStart=sleep infinity\n"
        );
        manager.unit(&format!("{name}.service"), &text);
    }
    assert!(manager.systemctl(&["start", "needs-that"]).status.success());
    let said = scene.run(&["--count", "5"]).await;
    passed(&said);
    let radius = said.1["outage"]["blast_radius"].to_string();
    assert!(radius.contains("needs-it.service") && radius.contains("needs-that"), "{radius}");
    for name in [&*database, "needs-it", "needs-that"] {
        assert!(manager.systemctl(&["is-active", name]).status.success(), "{name}");
    }
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_of_a_unit_killed_at_any_place_leaves_nothing() {
    let Some(scene) = begin(Way::Systemd, "systemd, killed").await else { return };
    killed_everywhere(&scene).await;
    passed(&scene.run(&["--count", "2"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_could_not_be_brought_back_is_refused() {
    let Some(scene) = begin(Way::Systemd, "systemd, refused").await else { return };
    let Keeper::Units(manager) = scene.node.keeper() else { panic!("a manager") };
    manager.unit("idle.service", "[Service]\nExecStart=sleep infinity\n");
    manager
        .unit("shy.service", "[Unit]\nRefuseManualStop=yes\n[Service]\nExecStart=sleep infinity\n");
    assert!(manager.systemctl(&["start", "shy"]).status.success());
    let masked = manager.systemctl(&["mask", "--runtime", "nothing.service"]);
    assert!(masked.status.success(), "{masked:?}");
    for (unit, words) in [
        ("absent", "there is no unit absent.service"),
        ("idle", "does not run"),
        ("shy", "by hand"),
        ("nothing", "masked"),
        ("a b", "no unit's name"),
        ("basic.target", "only a service"),
    ] {
        ended(&scene.run(&["--unit", unit]).await, "refused", words);
    }
    // A manager that is not there.
    let nowhere = scene.dir.path().join("nowhere");
    let mut drill = scene.drill(&[]);
    drill.env("XDG_RUNTIME_DIR", &nowhere);
    ended(&finished(drill).await, "inconclusive", "does not answer");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_stops_and_starts_a_container() {
    let Some(scene) = begin(Way::Docker, "container").await else { return };
    passed(&scene.run(&["--count", "5"]).await);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_of_a_container_killed_at_any_place_leaves_nothing() {
    let Some(scene) = begin(Way::Docker, "container, killed").await else { return };
    killed_everywhere(&scene).await;
    passed(&scene.run(&["--count", "2"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_could_not_be_brought_back_is_refused() {
    let Some(scene) = begin(Way::Docker, "container, refused").await else { return };
    let Keeper::Containers(engine) = scene.node.keeper() else { panic!("an engine") };
    let sleep = std::path::Path::new("/bin/sleep");
    for (name, flags) in [("idle", &[][..]), ("fleeting", &["--rm"]), ("frozen", &[])] {
        engine.create(name, sleep, &["1000"], flags).expect("a container");
    }
    for name in ["fleeting", "frozen"] {
        let started = engine.ask("POST", &format!("/containers/{name}/start")).expect("an answer");
        assert_eq!(started.0, 204, "{name}: {started:?}");
    }
    for (name, words) in [
        ("absent", "has no container"),
        ("idle", "does not run"),
        ("fleeting", "--rm"),
        ("a/b", "no container's name"),
    ] {
        ended(&scene.run(&["--container", name]).await, "refused", words);
    }
    let nowhere = scene.dir.path().join("nowhere.sock").display().to_string();
    ended(&scene.run(&["--socket", &nowhere]).await, "inconclusive", "does not answer");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_marked_needs_no_other_mark() {
    let Some(scene) = begin(Way::Docker, "container, marked").await else { return };
    let meta = scene.meta().await;
    meta.delete_one(mongodb::bson::doc! { "_id": "drillable" }).await.expect("removed");
    ended(&scene.run(&[]).await, "refused", "drillable");
    let Keeper::Containers(engine) = scene.node.keeper() else { panic!("an engine") };
    let label = ["--label", "focus-server.io/drillable=true"];
    engine.create("marked", std::path::Path::new("/bin/sleep"), &["1000"], &label).expect("made");
    let started = engine.ask("POST", "/containers/marked/start").expect("an answer");
    assert_eq!(started.0, 204, "{started:?}");
    // It is marked, and not the database: the outage is begun, and has no effect.
    ended(&scene.run(&["--container", "marked"]).await, "inconclusive", "");
    let found = engine.ask("GET", "/containers/marked/json").expect("an answer").1;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["State"]["Running"], true, "it is started again");
    scene.nothing_is_left().await;
}
