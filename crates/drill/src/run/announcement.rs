//! What people are told before anything is broken: what is drilled, and what that takes away.

use super::context::{Say, seconds};
use crate::preflight::Deployment;
use crate::report::Report;
use crate::scenario::plant_by::PlantBy;

/// Tells the server, the database, the outage and its blast radius.
pub(super) fn announce(deployment: &Deployment, report: &Report, say: Say<'_>) {
    let options = &deployment.options;
    say(&format!("Drill {}: {}", report.id, report.title));
    say(&format!("   server     {}, root {}", report.server, report.root));
    say(&format!("   database   {}", report.database));
    let outage_s = seconds(options.outage_for_ms);
    say(&format!("   outage     {}, for at least {outage_s} s", report.outage.what));
    say("   blast radius");
    for line in &report.outage.blast_radius {
        say(&format!("     - {line}"));
    }
    say(&format!(
        "     - {} recordings are planted below {}{}, and removed again",
        options.count,
        report.root,
        match options.plant_by {
            PlantBy::Files => "",
            PlantBy::Ingest => " through the server",
        }
    ));
}
