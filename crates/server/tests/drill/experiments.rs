//! Experiments as files, and planting by a command of the site's own.

use focus_testkit::tree::Writing;
use serde_json::Value;

use crate::outcome::{ended, passed};
use crate::scene::{LIMIT, Scene, Way, left_out};

const PLANT: &str = r#"printf data >"$FOCUS_PATH"
printf '{"uuid":"%s","start_time":"%s","end_time":"%s","focus_drill":"%s","site":"own"}' \
  "$FOCUS_UUID" "$FOCUS_START_TIME" "$FOCUS_END_TIME" "$FOCUS_DRILL_ID" >"${FOCUS_PATH%.dat}.json""#;

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_from_a_file_is_run_and_flags_win_over_it() {
    if left_out("experiment") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let file = scene.dir.path().join("experiment.toml");
    let text = "title = \"the node dies\"\n[method]\ncount = 9\nrate = 100\n[rollback]\ndeadline = \"5m\"\n";
    std::fs::write(&file, text).expect("a file");
    let said = scene.run(&[file.to_str().expect("a path"), "--count", "4"]).await;
    passed(&said);
    let report = &said.1;
    assert_eq!((&report["planted"], &report["title"]), (&4.into(), &"the node dies".into()));
    std::fs::write(&file, "[method]\ncuont = 9\n").expect("a file");
    ended(&scene.run(&[file.to_str().expect("a path")]).await, "refused", "cuont");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_state_that_is_not_there_breaks_nothing() {
    if left_out("steady state") {
        return;
    }
    // A server that never catches up.
    let by = ["env", "FOCUS_UNSAFE_NO_RECOVERY=yes-lose-recordings"];
    let mut scene = Scene::with(Way::Kill, 3, &by).await;
    scene.node.end();
    scene.focus.until_status("catalog_state", "down", LIMIT).await;
    scene.tree.add(1, Writing::Moved);
    scene.focus.until_status("pending", 1, LIMIT).await;
    scene.node.start();
    scene.focus.until_status("catalog_state", "in_step", LIMIT).await;
    let before = scene.node.pid();
    let file = scene.dir.path().join("experiment.toml");
    std::fs::write(&file, "[steady_state]\nwithin = \"500ms\"\npending_max = 0\n").expect("a file");
    ended(&scene.run(&[file.to_str().expect("a path")]).await, "inconclusive", "steady state");
    assert_eq!(scene.node.pid(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_the_sites_own_plants() {
    if left_out("plant") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let said = scene.run(&["--count", "3", "--plant", PLANT]).await;
    passed(&said);
    let report = &said.1;
    assert_eq!(report["catalogued"], 3);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_did_not_make_is_not_on_storage_and_what_it_spoilt_is_unrecognised() {
    if left_out("plant, bad") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let plant = format!(
        "case $FOCUS_RECORDING_ID in *0) exit 1;; *1) printf x >\"$FOCUS_PATH\"; printf '{{' >\"${{FOCUS_PATH%.dat}}.json\"; exit 0;; esac\n{PLANT}"
    );
    let said = scene.run(&["--count", "3", "--plant", &plant, "--timeout", "5s"]).await;
    ended(&said, "failed", "");
    let report = &said.1;
    assert_eq!((&report["planted"], &report["lost"]), (&2.into(), &2.into()), "{report:#}");
    let reason = |at: usize| report["recordings"][at]["reason"].clone();
    assert_eq!(
        [reason(0), reason(1), reason(2)],
        [Value::from("not_on_storage"), Value::from("unrecognised"), Value::Null]
    );
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_plants_without_naming_the_drill_is_told_as_a_leftover() {
    if left_out("plant, nameless") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 3).await;
    let plant = PLANT.replace("focus_drill", "something");
    let said = scene.run(&["--plant", &plant]).await;
    ended(&said, "failed", "");
    let report = &said.1;
    assert_eq!(report["stale"], 1, "{report:#}");
    let effects = report["side_effects"].as_array().expect("a list");
    assert!(effects.iter().any(|effect| effect["what"] == "leftover"), "{effects:?}");
    // It is nobody's to remove, and in no next drill's way.
    let (code, said) = scene.recover().await;
    assert_eq!((code, &said["recovered"]), (Some(0), &Value::Null));
    passed(&scene.run(&[]).await);
}
