//! The reference scenario, for each way in which a database goes and comes back.

use std::time::{Duration, Instant};

use focus_testkit::mongo::MongoServer;
use focus_testkit::proxy::{Mode, Proxy};
use focus_testkit::stats;
use focus_testkit::wait::until;
use mongodb::bson::{Document, doc};

use crate::site::{LIMIT, Site, embedded_only, long, no_server_to_end};

/// A way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Kill,
    Stop,
    Shutdown,
    Through(Mode),
}

struct Scene {
    site: Site,
    server: MongoServer,
    proxy: Proxy,
    way: Way,
}

impl Scene {
    async fn begin(way: Way, baseline: usize) -> Scene {
        let server = MongoServer::start().await;
        let proxy = Proxy::start(server.port()).await;
        let args = match way {
            Way::Through(_) => server.args_through(&proxy.uri()),
            _ => server.args(),
        };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut site = Site::new(&args);
        site.land(baseline);
        site.focus.serve().await;
        site.converged(&server, "node4").await;
        site.in_step().await;
        Scene { site, server, proxy, way }
    }

    async fn down(&mut self) {
        match self.way {
            Way::Kill => self.server.kill(),
            Way::Shutdown => self.server.stop(),
            Way::Stop => self.server.pause(),
            Way::Through(mode) => self.proxy.set(mode),
        }
        self.site.focus.until_status("catalog_state", "down", Duration::from_secs(10)).await;
    }

    /// Brings it back; when it took writes again.
    async fn up(&mut self) -> Instant {
        match self.way {
            Way::Kill | Way::Shutdown => self.server.restart().await,
            Way::Stop => self.server.resume(),
            Way::Through(_) => self.proxy.set(Mode::Pass),
        }
        Instant::now()
    }

    async fn seen(&self, count: usize) {
        self.site.focus.until_status("pending", count, LIMIT).await;
        assert_eq!(self.site.focus.get("/ack").as_deref(), Ok("{}"));
    }
}

async fn scenario(name: &str, way: Way, landing: &[usize]) {
    let through = matches!(way, Way::Through(_));
    if if through { embedded_only(name) } else { no_server_to_end(name) } {
        return;
    }
    let mut scene = Scene::begin(way, 20).await;
    for &count in landing {
        scene.down().await;
        scene.site.land(count);
        scene.seen(count).await;
        scene.up().await;
        scene.site.converged(&scene.server, "node4").await;
        scene.site.in_step().await;
    }
    assert_eq!(scene.site.focus.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_while_the_database_is_killed_is_catalogued_once() {
    scenario("killed", Way::Kill, &[1, 50, 1_000]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_while_the_database_is_stopped_in_its_tracks_is_catalogued_once() {
    scenario("stopped", Way::Stop, &[1, 50, 1_000]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_after_a_clean_shutdown_is_catalogued_once() {
    scenario("shut down", Way::Shutdown, &[1, 50]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_while_connections_are_refused_is_catalogued_once() {
    scenario("refused", Way::Through(Mode::Refuse), &[1, 50, 1_000]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_behind_a_black_hole_is_catalogued_once() {
    scenario("black hole", Way::Through(Mode::BlackHole), &[1, 50, 1_000]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_while_connections_are_reset_is_catalogued_once() {
    scenario("reset", Way::Through(Mode::Reset), &[1, 50]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_while_replies_are_lost_is_catalogued_once() {
    scenario("replies lost", Way::Through(Mode::LoseReplies), &[1, 50]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_recordings_are_catalogued_once() {
    if long() {
        scenario("twenty thousand", Way::Kill, &[20_000]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_started_after_the_server_gets_everything() {
    if no_server_to_end("started later") {
        return;
    }
    let mut server = MongoServer::prepare();
    let mut site = Site::with(&server, &[]);
    site.land(50);
    site.focus.serve().await;
    site.focus.until_status("pending", 50, LIMIT).await;
    server.restart().await;
    site.converged(&server, "node4").await;
}

/// Twenty outages each: the time from the database's taking writes to the last document's being there.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_converge_is_within_the_contract() {
    if no_server_to_end("time to converge") {
        return;
    }
    let outages = if long() { 20 } else { 3 };
    for way in [Way::Kill, Way::Stop, Way::Through(Mode::BlackHole)] {
        for count in [1, 50] {
            let mut scene = Scene::begin(way, 5).await;
            let mut times = Vec::new();
            for _ in 0..outages {
                scene.down().await;
                scene.site.land(count);
                scene.seen(count).await;
                let back = scene.up().await;
                let wanted = scene.site.planted.len() as u64;
                let client = scene.server.client().await;
                let documents = client.database("focus").collection::<Document>("node4");
                until("all are there", LIMIT, || async {
                    match documents.count_documents(doc! {}).await {
                        Ok(found) if found == wanted => Ok(()),
                        other => Err(format!("{other:?}")),
                    }
                })
                .await;
                times.push(back.elapsed());
                scene.site.in_step().await;
            }
            scene.site.converged(&scene.server, "node4").await;
            println!("converge after {way:?} with {count}: {}", stats::describe(&times));
        }
    }
}
