//! `memory`: resident memory of a server at the most, in each phase of its life, in one run. Beside it stands the same
//! server with nothing on storage.

use crate::idle;
use crate::options::Setup;
use crate::outage;
use crate::process::{Usage, peak_from_now_on};
use crate::queries;
use crate::report::{Measure, Report};
use crate::site::Site;

pub(crate) async fn run(setup: &Setup, n: u64) -> Report {
    let empty = Site::serving(setup, 0).await.usage().peak_mib();
    // A sixth lands in the outage, so that there are `n` in the end.
    let landing = (n / 6).max(1);
    let mut site = Site::with(setup, n - landing).await;
    let mut report = setup.report("memory", n, site.storage.folder());
    let mut phases = Phases::default();
    site.storage.settled().await;
    site.focus.serve().await;
    site.all_in_step().await;
    phases.ended("first fill", &site);
    site.outage().await;
    outage::landed(&mut site, landing).await;
    phases.ended("recordings land in an outage", &site);
    queries::ask(&site.focus, landing);
    phases.ended("queries in an outage", &site);
    site.server.restart().await;
    site.all_in_step().await;
    phases.ended("recovery", &site);
    assert!(site.focus.run(&["scan", "--json"]).status.success(), "{}", site.focus.log());
    phases.ended("scan of sizes and times", &site);
    assert!(site.focus.run(&["verify", "--json"]).status.success(), "{}", site.focus.log());
    phases.ended("verification", &site);
    idle::quiet(&site.focus).await;
    phases.ended("until it is at rest", &site);
    let most = phases.0.iter().map(|(_, usage)| usage.peak_kib).max().unwrap_or(0);
    report.add(
        Measure::of("at the most, of all phases", most as f64 / 1_024.0, "MiB")
            .beside("with no recordings", empty),
    );
    for (phase, usage) in &phases.0 {
        report.add(Measure::of(&format!("at the most: {phase}"), usage.peak_mib(), "MiB"));
    }
    let resident = site.usage().resident_kib as f64 / 1_024.0;
    report.add(Measure::of("at rest", resident, "MiB"));
    report
}

/// Phases that have ended, with what the server took until then and at the most in them.
#[derive(Default)]
struct Phases(Vec<(&'static str, Usage)>);

impl Phases {
    /// A phase has ended, and the next one begins.
    fn ended(&mut self, phase: &'static str, site: &Site) {
        let usage = site.usage();
        println!("  {phase}: {:.1} MiB at the most", usage.peak_mib());
        self.0.push((phase, usage));
        peak_from_now_on(site.focus.pid());
    }
}
