//! Alerts of two servers on one root: the holder tells, and whoever takes over goes on from what it told.

use std::fs;
use std::path::PathBuf;

use focus_testkit::focus::Focus;
use focus_testkit::mongo::MongoServer;
use focus_testkit::wait::until;
use serde_json::Value;

use crate::alert_host::{Host, QUICK, SECRET, a_while, channel};
use crate::site::{BINARY, LIMIT, Site, no_server_to_end};

/// Two servers on one root and database, which tell one host. The first holds the root.
struct Two {
    server: MongoServer,
    site: Site,
    standby: Focus,
    host: Host,
}

impl Two {
    async fn start() -> Two {
        let server = MongoServer::start().await;
        let host = Host::start();
        let mut site = Site::with(&server, &[]);
        let hook = channel("hook", "webhook", &host, &format!("secret = {SECRET:?}"));
        let settings = site.dir.path().join("focus.toml");
        // Short, so that a takeover is; the outage is over long before three times as long.
        fs::write(&settings, format!("lease_ms = 3000\n{hook}{QUICK}")).expect("settings");
        let settings = settings.display().to_string();
        let mut args = server.args();
        args.extend(["--settle-ms", "200", "--config", &settings].map(str::to_owned));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let focus =
            |state: &str| Focus::new(BINARY, site.tree.root(), &site.dir.path().join(state), &args);
        let (mut first, mut standby) = (focus("state"), focus("standby"));
        site.land(5);
        first.serve().await;
        first.until_status("/roots/0/lease", "held", LIMIT).await;
        site.focus = first;
        site.converged(&server, "node4").await;
        standby.serve().await;
        standby.until_status("/roots/0/lease", "standby", LIMIT).await;
        standby.until_status("pending", 0, LIMIT).await;
        standby.until_status("catalog_state", "standby", LIMIT).await;
        Two { server, site, standby, host }
    }

    /// Twenty files that are no recordings: more than the rule lets pass.
    fn bad(&self) -> impl Iterator<Item = PathBuf> {
        let root = self.site.tree.root().to_owned();
        (0..20).map(move |at| root.join(format!("bad{at}.dat")))
    }

    fn turn_bad(&self) {
        self.bad().for_each(|path| fs::write(path, "data").expect("written"));
    }

    fn mend(&self) {
        self.bad().for_each(|path| fs::remove_file(path).expect("removed"));
    }

    /// What was told of a rule: the type of each event, and its subject.
    fn told(&self, rule: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sent = self.host.sent().into_iter().filter(|sent| sent.body["data"]["rule"] == rule);
        sent.map(|sent| (text(&sent.body["data"]["state"]), text(&sent.body["subject"]))).collect()
    }

    async fn until_told(&self, rule: &str, states: &[&str]) -> Vec<(String, String)> {
        until(&format!("{rule} is told {states:?}"), LIMIT, || async {
            let told = self.told(rule);
            let as_told: Vec<&str> = told.iter().map(|(state, _)| state.as_str()).collect();
            if as_told == states {
                return Ok(());
            }
            let logs = [self.site.focus.log(), self.standby.log()].join("\n");
            Err(format!("{told:#?}\n{logs}"))
        })
        .await;
        self.told(rule)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_resolves_what_the_holder_told_that_died_in_the_outage() {
    if no_server_to_end("alerts of a holder that dies") {
        return;
    }
    let mut two = Two::start().await;
    two.server.kill();
    two.until_told("catalog_down", &["firing"]).await;
    // The standby sees it too, and leaves it to the holder.
    until("the standby lists it", LIMIT, || async {
        let listed = two.standby.get("/api/v1/alerts")?;
        let listed: Value = serde_json::from_str(&listed).map_err(|error| error.to_string())?;
        let one = &listed["items"][0];
        let is_left = one["rule"] == "catalog_down" && one["tells"] == false;
        if is_left { Ok(()) } else { Err(format!("{listed:#}")) }
    })
    .await;
    two.site.focus.kill();
    two.server.restart().await;
    two.standby.until_status("/roots/0/lease", "held", LIMIT).await;
    let told = two.until_told("catalog_down", &["firing", "resolved"]).await;
    assert_eq!(told[0].1, told[1].1, "one alert, whoever tells of it");
    a_while().await;
    assert_eq!(two.told("catalog_down").len(), 2, "{:#?}", two.host.sent());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_goes_on_from_what_the_dead_holder_told() {
    if no_server_to_end("alerts of a holder that dies") {
        return;
    }
    let mut two = Two::start().await;
    // A first look at what is there, so that these are new.
    a_while().await;
    two.turn_bad();
    let told = two.until_told("unrecognised_growth", &["firing"]).await;
    until("it is handed over", LIMIT, || async {
        let client = two.server.client().await;
        let meta = client
            .database(two.server.database())
            .collection::<mongodb::bson::Document>("focus_meta");
        let marker = two.site.focus.status()?["roots"][0]["id"].as_str().map(str::to_owned);
        let filter =
            mongodb::bson::doc! { "_id": format!("alerts:{}", marker.unwrap_or_default()) };
        let found = meta.find_one(filter).await.map_err(|error| error.to_string())?;
        let known = found.and_then(|found| Some(found.get_str("value").ok()?.to_owned()));
        let is_known = known.as_ref().is_some_and(|text| text.contains("\"in_doubt\":false"));
        if is_known { Ok(()) } else { Err(format!("{known:?}")) }
    })
    .await;
    two.site.focus.kill();
    two.standby.until_status("/roots/0/lease", "held", LIMIT).await;
    a_while().await;
    // What is true is not told again; what ends is resolved under the same key.
    two.mend();
    let after = two.until_told("unrecognised_growth", &["firing", "resolved"]).await;
    assert_eq!(after[1].1, told[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_holder_told_is_resolved_though_the_database_comes_back_empty() {
    if no_server_to_end("alerts of a holder that dies with its database") {
        return;
    }
    let mut two = Two::start().await;
    a_while().await;
    two.turn_bad();
    let told = two.until_told("unrecognised_growth", &["firing"]).await;
    let kept = two.site.dir.path().join("standby/alerts.json");
    until("the standby has seen what was told", LIMIT, || async {
        let text = fs::read_to_string(&kept).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        let has_seen = kept["seen"].to_string().contains("unrecognised_growth");
        if has_seen { Ok(()) } else { Err(text) }
    })
    .await;
    two.server.kill();
    two.site.focus.kill();
    fs::remove_dir_all(two.server.data_dir()).expect("removed");
    fs::create_dir_all(two.server.data_dir()).expect("made");
    two.server.restart().await;
    two.standby.until_status("/roots/0/lease", "held", LIMIT).await;
    // It is told once more: the holder may have told something else before it died.
    two.until_told("unrecognised_growth", &["firing", "firing"]).await;
    two.mend();
    let after = two.until_told("unrecognised_growth", &["firing", "firing", "resolved"]).await;
    assert!(after.iter().all(|(_, subject)| *subject == told[0].1), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_that_live_one_tells_of_an_outage() {
    if no_server_to_end("alerts of two servers") {
        return;
    }
    let mut two = Two::start().await;
    two.server.kill();
    two.until_told("catalog_down", &["firing"]).await;
    two.server.restart().await;
    two.until_told("catalog_down", &["firing", "resolved"]).await;
    two.until_told("catalog_recovered", &["firing"]).await;
    a_while().await;
    assert_eq!(two.told("catalog_down").len(), 2, "{:#?}", two.host.sent());
    assert_eq!(two.told("catalog_recovered").len(), 1);
}
