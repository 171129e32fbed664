//! The drill killed at every place, its guard too, and the recovery as well: the database is back, and
//! nothing is left behind.

use std::process::Stdio;
use std::time::Duration;

use focus_testkit::wait::until;
use mongodb::bson::doc;
use rustix::process::Signal;
use serde_json::Value;

use crate::drill_process::{
    DrillFiles, PLACES, finished, guards, kill, kill_guards, signal_all, signal_group, silent,
};
use crate::killed::{is_put_right, killed_at};
use crate::outcome::{ended, passed};
use crate::scene::{LIMIT, Scene, Way, left_out, long};

/// Killed at every place. The four kinds of outage share the places out among them where no long tests are asked
/// for.
async fn killed_everywhere(name: &str, way: Way, share: usize) {
    if left_out(name) {
        return;
    }
    let scene = Scene::begin(way, 5).await;
    let places: Vec<&str> = match long() {
        true => PLACES.to_vec(),
        false => PLACES.into_iter().skip(share).step_by(4).collect(),
    };
    killed_at(&scene, &places).await;
    passed(&scene.run(&["--count", "2"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_at_any_place_leaves_nothing_when_it_stops_the_database() {
    killed_everywhere("killed, stop", Way::Stop, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_at_any_place_leaves_nothing_when_it_kills_the_database() {
    killed_everywhere("killed, kill", Way::Kill, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_at_any_place_leaves_nothing_when_it_uses_a_proxy() {
    killed_everywhere("killed, proxy", Way::Proxy("black-hole"), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_at_any_place_leaves_nothing_when_it_runs_commands() {
    killed_everywhere("killed, command", Way::Command, 3).await;
}

async fn recovery_killed(way: Way, places: &[&str]) {
    let scene = Scene::begin(way, 5).await;
    for place in places {
        let mut drill = scene.paused(place, &["--count", "2"]).await;
        kill_guards(&scene.state());
        kill(&mut drill);
        for after_ms in [5, 50, 200, 400] {
            let mut recovery = silent(scene.files().recover());
            // Cut off at some moment: that is the point.
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            kill(&mut recovery);
        }
        is_put_right(&scene, place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_is_killed_is_run_again() {
    if left_out("recovery killed") {
        return;
    }
    recovery_killed(Way::Kill, &["planted", "up_begun", "converged"]).await;
    for way in [Way::Stop, Way::Proxy("refuse"), Way::Command] {
        recovery_killed(way, if long() { &["down_noted", "planted", "up"] } else { &["planted"] })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_killed_at_any_moment_leaves_nothing() {
    if left_out("any moment") {
        return;
    }
    let scene = Scene::begin(Way::Command, 5).await;
    let moments: &[u64] =
        if long() { &[10, 100, 400, 900, 1_400, 2_200, 3_100, 4_500] } else { &[300, 1_700] };
    for after_ms in moments {
        let mut drill = silent(scene.drill(&["--count", "20", "--rate", "20"]));
        tokio::time::sleep(Duration::from_millis(*after_ms)).await;
        kill(&mut drill);
        is_put_right(&scene, &format!("{after_ms} ms")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_drill_puts_right_what_the_last_one_left() {
    if left_out("next drill") {
        return;
    }
    let scene = Scene::begin(Way::Command, 5).await;
    let mut drill = scene.paused("planted", &["--count", "2"]).await;
    kill_guards(&scene.state());
    kill(&mut drill);
    passed(&scene.run(&["--count", "2"]).await);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_brings_the_database_back_when_the_drill_is_killed() {
    if left_out("guard, killed") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let mut drill = scene.paused("planted", &["--count", "2"]).await;
    assert!(scene.node.takes_writes().await.is_err());
    kill(&mut drill);
    // Nobody but the guard does anything now.
    until("the database is back", LIMIT, || scene.node.takes_writes()).await;
    scene.recovered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_brings_the_database_back_when_the_drill_is_stopped_beyond_its_deadline() {
    if left_out("guard, stopped") {
        return;
    }
    let scene = Scene::begin(Way::Stop, 5).await;
    let mut drill = scene.paused("planted", &["--count", "2", "--deadline", "12s"]).await;
    // The whole group, as a terminal does.
    signal_group(&drill, Signal::STOP);
    assert!(scene.node.takes_writes().await.is_err());
    until("the database is back", LIMIT, || scene.node.takes_writes()).await;
    assert!(!guards(&scene.state()).is_empty(), "the guard stays while the drill may wake up");
    kill(&mut drill);
    scene.recovered().await;
    until("the guard has ended", Duration::from_secs(20), || {
        let there = guards(&scene.state());
        async move { if there.is_empty() { Ok(()) } else { Err(format!("{there:?}")) } }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_of_an_earlier_drill_leaves_the_outage_of_the_next_one_alone() {
    if left_out("guard, late") {
        return;
    }
    let scene = Scene::begin(Way::Stop, 5).await;
    let mut drill = scene.paused("down_begun", &["--count", "2"]).await;
    let late = guards(&scene.state());
    signal_all(&late, Signal::STOP);
    kill(&mut drill);
    let (code, said) = scene.recover().await;
    assert_eq!(code, Some(0), "{said}");
    let mut next = scene.paused("unreachable", &["--count", "2"]).await;
    signal_all(&late, Signal::CONT);
    until("the late guard has ended", LIMIT, || {
        let there: Vec<i32> =
            guards(&scene.state()).into_iter().filter(|pid| late.contains(pid)).collect();
        async move { if there.is_empty() { Ok(()) } else { Err(format!("{there:?}")) } }
    })
    .await;
    assert!(scene.node.takes_writes().await.is_err(), "the next outage goes on");
    kill(&mut next);
    scene.recovered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_wakes_up_after_its_deadline_breaks_nothing() {
    if left_out("woken") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let before = scene.node.pid();
    let drill = scene.paused("armed", &["--deadline", "1s"]).await;
    // Longer than the deadline: that is the point.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    scene.files().release();
    ended(&scene.files().ended(drill).await, "inconclusive", "deadline");
    assert_eq!(scene.node.pid(), before);
    scene.nothing_is_left().await;
}

async fn interrupted(place: &str, by: Signal, name: &str) {
    if left_out(name) {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let drill = scene.paused(place, &["--count", "2"]).await;
    signal_group(&drill, by);
    ended(&scene.files().ended(drill).await, "inconclusive", name);
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_outage_and_cleans_up() {
    interrupted("planted", Signal::INT, "Ctrl-C").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_outage_and_cleans_up() {
    interrupted("down_begun", Signal::TERM, "SIGTERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_down_that_has_not_taken_effect_is_ended_first() {
    if left_out("way down ended") {
        return;
    }
    let scene = Scene::begin(Way::Command, 5).await;
    let before = scene.node.pid();
    let begun = scene.dir.path().join("begun");
    let down = format!("touch {}; sleep 8; {}", begun.display(), scene.node.down());
    let mut drill = scene.started(&["--down", &down], &begun).await;
    kill_guards(&scene.state());
    kill(&mut drill);
    scene.recovered().await;
    assert_eq!(scene.node.pid(), before);
    assert!(scene.node.takes_writes().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_up_under_way_is_waited_for_and_not_taken_twice() {
    if left_out("way up once") {
        return;
    }
    let scene = Scene::begin(Way::Command, 5).await;
    let ups = scene.dir.path().join("ups");
    let up = format!("echo up >>{}; sleep 3; {}", ups.display(), scene.node.up());
    let mut drill = scene.started(&["--up", &up], &ups).await;
    // The guard and the recovery both want the database back now.
    kill(&mut drill);
    scene.recovered().await;
    assert_eq!(std::fs::read_to_string(&ups).expect("a file"), "up\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_server_left_is_removed_by_the_recovery() {
    if left_out("dead server") {
        return;
    }
    let mut scene = Scene::begin(Way::Kill, 5).await;
    let mut drill = scene.paused("converged", &["--count", "2"]).await;
    kill(&mut drill);
    scene.focus.kill();
    let documents = scene.documents().await;
    assert_eq!(documents.count_documents(doc! {}).await.expect("a count"), 7);
    let (code, said) = scene.recover().await;
    assert_eq!((code, &said["documents_removed"]), (Some(0), &Value::from(2)), "{said}");
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_is_for_its_user_alone_and_names_everything_before_anything_is_broken() {
    use std::os::unix::fs::PermissionsExt;
    if left_out("plan") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let mut drill = scene.paused("planned", &["--count", "3"]).await;
    assert!(scene.node.takes_writes().await.is_ok());
    let file = scene.files().file("plan.json");
    let mode = std::fs::metadata(&file).expect("a plan").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let plan: Value = serde_json::from_slice(&std::fs::read(&file).expect("a plan")).expect("JSON");
    assert_eq!(plan["planted"].as_array().expect("a list").len(), 3);
    assert_eq!(plan["root"], scene.root().to_str().expect("a path"));
    assert_eq!(plan["restore"]["up"], scene.node.up());
    kill(&mut drill);
    scene.recovered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_with_nothing_to_do_says_so() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let (code, said) = finished(DrillFiles::of(dir.path()).recover()).await;
    assert_eq!((code, &said["recovered"]), (Some(0), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planting_command_under_way_is_ended_before_anything_is_removed() {
    if left_out("planter") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let begun = scene.dir.path().join("begun");
    let plant = format!("touch {}; sleep 5; touch \"$FOCUS_PATH\"", begun.display());
    let mut drill = scene.started(&["--plant", &plant], &begun).await;
    kill(&mut drill);
    let (code, said) = scene.recover().await;
    assert_eq!(code, Some(0), "{said}");
    // Longer than the command would have slept.
    tokio::time::sleep(Duration::from_secs(6)).await;
    scene.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_outlives_a_drill_holds_its_output() {
    if left_out("output") {
        return;
    }
    let scene = Scene::begin(Way::Kill, 5).await;
    let up = format!("{}; sleep 60", scene.node.up());
    let mut command = scene.drill(&["--up", &up]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = std::time::Instant::now();
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("a thread").expect("its end");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // Its way up still runs, and holds nothing of it.
    assert!(began.elapsed() < Duration::from_secs(55));
    scene.nothing_is_left().await;
}
