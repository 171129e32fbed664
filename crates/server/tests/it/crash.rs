//! The server ends itself at each crash point, as SIGKILL would, is started again, and every document
//! of the catalog is compared with storage. A point that is not reached fails its test.

mod scenes;

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use focus_crash::{Point, Step, VARIABLE, Write};
use focus_testkit::mongo::MongoServer;
use futures_util::StreamExt;
use scenes::{Scene, Trial};

use crate::site::embedded_only;

/// Points gone through side by side.
const SIDE_BY_SIDE: usize = 4;

/// What has to go on for a point to be reached. A new point does not compile without.
fn scenes_of(point: Point) -> &'static [Scene] {
    match point {
        Point::Uncommitted(write) | Point::Committed(write) => match write {
            Write::Migrate
            | Write::Root
            | Write::Form
            | Write::Observe
            | Write::ScanFinished
            | Write::TokenSeen
            | Write::Token
            | Write::Owe
            | Write::Finish
            | Write::Reported => &[Scene::First],
            Write::Note | Write::Acknowledge => &[Scene::First, Scene::Changed],
            Write::NoteBeside | Write::AcknowledgeBeside => &[Scene::Backlog],
            Write::MountsFound | Write::SettleMounts => &[Scene::Remounted],
            Write::RetryDue => &[Scene::Others],
            Write::Prefer => &[Scene::TwoPaths],
            Write::Found | Write::AddMissing => &[Scene::Repair],
            Write::Proved | Write::Doubted => &[Scene::Gone],
            Write::Concluded => &[Scene::Gone, Scene::Held],
            Write::Approve => &[Scene::Approved],
            Write::Forget => &[Scene::Forgotten],
            Write::ReadAgain => &[Scene::Reformed],
            Write::MetadataKeys | Write::MetadataStep | Write::TextStep => &[Scene::Indexed],
        },
        Point::At(step) => match step {
            Step::BeforeInsert
            | Step::AfterInsert
            | Step::BeforeReport
            | Step::AfterReport
            | Step::TokenDrawn
            | Step::LeaseTaken
            | Step::BeforeRenew
            | Step::AfterRenew
            | Step::IdentityPart
            | Step::ServerPart => &[Scene::First],
            Step::BeforeMark | Step::AfterMark => &[Scene::First, Scene::Backlog],
            Step::BeforeUpsert | Step::AfterUpsert => &[Scene::Changed],
            Step::BeforeRemove | Step::AfterRemove => &[Scene::Drilled],
            Step::BeforeRead
            | Step::AfterRead
            | Step::BeforeAdopt
            | Step::AfterAdopt
            | Step::BeforeTakeOver
            | Step::AfterTakeOver => &[Scene::Others],
            Step::AsideDatabase | Step::AsideLogs | Step::BeforeSweep | Step::AfterSweep => {
                &[Scene::Rebuilt]
            }
            Step::CloseBefore | Step::CloseAfter | Step::BeforeRelease | Step::AfterRelease => {
                &[Scene::Stopped]
            }
            Step::RepairStored | Step::RepairAdded => &[Scene::Repair],
            Step::VerificationPart => &[Scene::Verified],
            Step::IngestSidecarPart
            | Step::IngestParts
            | Step::IngestData
            | Step::IngestSidecar
            | Step::IngestSynced
            | Step::IngestIndexed => &[Scene::HandedOver],
        },
    }
}

/// Goes through these points in this scene.
async fn play(scene: Scene, points: Vec<Point>, server: Option<Arc<MongoServer>>) {
    assert!(!points.is_empty());
    let names: Vec<String> = points.iter().map(|point| point.name()).collect();
    println!("{scene:?}: {}", names.join(", "));
    let trials = points.into_iter().map(|point| {
        let server = server.clone();
        async move { (point.name(), tokio::spawn(crash_at(point, scene, server)).await) }
    });
    let mut trials = futures_util::stream::iter(trials).buffer_unordered(SIDE_BY_SIDE);
    let mut failed = Vec::new();
    while let Some((name, ended)) = trials.next().await {
        if ended.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{scene:?}: {failed:?}");
}

async fn crash_at(point: Point, scene: Scene, server: Option<Arc<MongoServer>>) {
    let mut trial = Trial::prepare(scene, server, &point.name().replace('/', "_")).await;
    let focus = &mut trial.site.focus;
    focus.by = vec!["env".to_owned(), format!("{VARIABLE}={}", point.name())];
    focus.spawn();
    trial.provoke().await;
    let focus = &mut trial.site.focus;
    let ended = focus_testkit::wait::until("it dies", Duration::from_secs(30), || {
        let ended = focus.ended();
        let log = focus.log();
        async move { ended.ok_or(log) }
    })
    .await;
    assert_eq!(ended.signal(), Some(9), "{}: {ended}\n{}", point.name(), focus.log());
    let told = format!("crash point {}: the process ends here", point.name());
    assert!(focus.log().contains(&told), "{}: not there\n{}", point.name(), focus.log());
    focus.by.clear();
    focus.serve().await;
    trial.check(point).await;
}

fn points(scene: Scene) -> Vec<Point> {
    Point::all().filter(|point| scenes_of(*point).contains(&scene)).collect()
}

/// A test for each scene, and the list of those that have one.
macro_rules! played {
    ($($test:ident: $scene:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                play(Scene::$scene, points(Scene::$scene), None).await;
            }
        )*
        const PLAYED: &[Scene] = &[$(Scene::$scene,)*];
    };
}

played! {
    a_crash_anywhere_in_the_first_run_loses_and_doubles_nothing: First,
    a_crash_while_changes_are_written_loses_and_doubles_nothing: Changed,
    a_crash_while_a_long_backlog_is_written_loses_and_doubles_nothing: Backlog,
    a_crash_beside_documents_of_others_leaves_theirs_and_takes_ours: Others,
    a_crash_while_two_paths_have_one_uuid_leaves_it_to_the_catalogs: TwoPaths,
    a_crash_while_absence_is_proved_marks_what_is_gone_once: Gone,
    a_crash_while_all_is_read_again_by_another_form_reads_all_of_it: Reformed,
    a_crash_while_a_drills_documents_are_removed_leaves_none_of_them: Drilled,
    a_crash_while_deletions_are_held_leaves_them_held: Held,
    a_crash_while_deletions_are_approved_lets_all_through_or_none: Approved,
    a_crash_while_a_root_is_forgotten_leaves_it_or_leaves_nothing_of_it: Forgotten,
    a_crash_while_a_key_is_indexed_leaves_it_to_be_indexed_to_its_end: Indexed,
    a_crash_while_a_mount_takes_the_place_of_another_deletes_nothing_more: Remounted,
    a_crash_while_an_index_is_rebuilt_writes_nothing_anew: Rebuilt,
    a_crash_in_a_repair_leaves_what_the_next_one_mends: Repair,
    a_crash_while_a_result_is_stored_leaves_the_one_before: Verified,
    a_crash_while_a_recording_is_handed_over_leaves_all_of_it_or_what_a_repeat_completes: HandedOver,
    a_crash_while_stopping_leaves_everything_in_order: Stopped,
}

#[test]
fn every_crash_point_is_gone_through() {
    for point in Point::all() {
        let scenes = scenes_of(point);
        assert!(!scenes.is_empty(), "{}: no scene", point.name());
        assert!(scenes.iter().all(|scene| PLAYED.contains(scene)), "{}", point.name());
    }
}

/// The points between the server and its database, with a real one.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_anywhere_before_a_real_database_loses_and_doubles_nothing() {
    if embedded_only("crash points before a database") {
        return;
    }
    let server = Arc::new(MongoServer::start().await);
    for scene in [Scene::First, Scene::Changed, Scene::Stopped] {
        let mut points = points(scene);
        points.retain(|point| match point {
            Point::At(step) => !matches!(step, Step::IdentityPart | Step::ServerPart),
            Point::Uncommitted(write) | Point::Committed(write) => {
                matches!(write, Write::Note | Write::Acknowledge | Write::Token | Write::Owe)
            }
        });
        play(scene, points, Some(Arc::clone(&server))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_point_that_does_not_exist_is_refused() {
    let mut site = crate::site::Site::new(&[]);
    site.focus.by = vec!["env".to_owned(), format!("{VARIABLE}=nowhere")];
    site.focus.spawn();
    let focus = &mut site.focus;
    let ended = focus_testkit::wait::until("it ends", Duration::from_secs(20), || {
        let ended = focus.ended();
        async move { ended.ok_or_else(String::new) }
    })
    .await;
    assert_eq!(ended.code(), Some(2));
    assert!(focus.log().contains("nowhere"), "{}", focus.log());
}
