//! An outage of a unit of systemd: stopped, and started again, with what goes down along with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::contract::{Hindrance, Outage, Prepared, Surroundings, WayUp, needed};
use crate::process::held_command::HeldCommand;
use crate::process::identity::Process;
use crate::process::output::tail;
use crate::scenario::options::Options;
use crate::scenario::outage_kind::OutageKind;
use crate::state::journal::Journal;

/// `systemctl` has to answer within this, where it does not wait for a unit.
const LIMIT: Duration = Duration::from_secs(20);

/// A start waits for what is still stopping, and for the unit to say that it is there. After this long it
/// goes on without the drill.
const START_LIMIT: Duration = Duration::from_secs(100);

/// Units that may go down along with the one that is drilled.
const ALONG_MAX: usize = 64;

/// The properties that are read of a unit.
const PROPERTIES: &str = "Id,LoadState,ActiveState,UnitFileState,CanStop,CanStart,RefuseManualStop,\
RefuseManualStart,MainPID,ControlGroup,RequiredBy,BoundBy,ConsistsOf,TriggeredBy";

/// `--outage systemd`.
#[derive(Debug)]
pub struct SystemdOutage {
    unit: String,
    manager: Manager,
    target: Option<Units>,
}

impl SystemdOutage {
    /// The outage that these options describe. Nothing is looked at yet.
    ///
    /// # Errors
    /// A flag is missing or wrong.
    pub fn new(options: &Options) -> Result<SystemdOutage, Hindrance> {
        let unit = needed(&options.unit, "--unit UNIT", OutageKind::Systemd)?;
        if !is_unit(unit) {
            return Err(Hindrance::Refused(format!("--unit {unit:?} is no unit's name")));
        }
        if let Some(method) = options.method.as_deref().filter(|method| *method != "stop") {
            return Err(Hindrance::Refused(format!("--method {method}: a unit takes stop")));
        }
        let unit = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
        if !unit.ends_with(".service") {
            return Err(Hindrance::Refused(format!(
                "--unit {unit}: only a service can be drilled"
            )));
        }
        Ok(SystemdOutage { unit, manager: Manager::new(options.user), target: None })
    }
}

/// A name as systemd has them; nothing else goes on a command line.
fn is_unit(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || ":_.@-\\".contains(c);
    name.len() <= 255 && !name.starts_with('-') && name.chars().all(good)
}

/// Units that are started again: the one that is drilled, and what went down along with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// The unit that is drilled.
    pub unit: String,
    /// Units that need it and were running.
    pub along: Vec<String>,
    /// The manager that has them.
    pub manager: Manager,
}

/// The manager that is asked: the system's, or a user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manager {
    /// Whether it is the user's own.
    pub user: bool,
    /// The folder in which the user's own is found: a recovery may run without it in its environment.
    pub runtime_dir: Option<PathBuf>,
}

impl Units {
    fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.unit).chain(&self.along).map(String::as_str)
    }
}

impl Manager {
    fn new(user: bool) -> Manager {
        let dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Manager { user, runtime_dir: dir.filter(|_| user) }
    }

    fn words(&self) -> [&'static str; 2] {
        [if self.user { "--user" } else { "--system" }, "--no-ask-password"]
    }

    /// Runs `systemctl` to its end, and returns what it printed. It is killed after `limit`.
    async fn systemctl(&self, limit: Duration, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("systemctl");
        command.args(self.words()).args(words).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(dir) = &self.runtime_dir {
            command.env("XDG_RUNTIME_DIR", dir);
        }
        let output = tokio::time::timeout(limit, command.output())
            .await
            .with_context(|| format!("systemctl does not answer within {} s", limit.as_secs()))?
            .context("systemctl cannot be run")?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        anyhow::ensure!(output.status.success(), "systemctl {}: {said}", words.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn show(&self, unit: &str) -> anyhow::Result<Properties> {
        let text = self.systemctl(LIMIT, &["show", "--property", PROPERTIES, "--", unit]).await?;
        Ok(parse(&text))
    }
}

/// The properties of a unit, by name.
type Properties = BTreeMap<String, String>;

fn parse(text: &str) -> Properties {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn property<'a>(properties: &'a Properties, key: &str) -> &'a str {
    properties.get(key).map_or("", String::as_str)
}

/// Why a unit cannot be drilled; none where it can. `own` is the drill's cgroup, `main` the name of the unit's
/// main process.
fn hindrance(unit: &str, found: &Properties, own: &str, main: Option<&str>) -> Option<String> {
    let of = |key: &str| property(found, key);
    let is = |key: &str, value: &str| of(key) == value;
    if is("LoadState", "masked") || of("UnitFileState").starts_with("masked") {
        return Some(format!("the unit {unit} is masked, and could not be started again"));
    }
    if is("LoadState", "not-found") {
        return Some(format!(
            "there is no unit {unit}: name it with --unit, and with --user where it is a user's own"
        ));
    }
    if !is("LoadState", "loaded") {
        return Some(format!(
            "the unit {unit} cannot be used ({}): mend it first",
            of("LoadState")
        ));
    }
    if !is("ActiveState", "active") {
        return Some(format!(
            "the unit {unit} does not run ({}): start it first",
            of("ActiveState")
        ));
    }
    if ["CanStop", "CanStart"].iter().any(|key| is(key, "no"))
        || ["RefuseManualStop", "RefuseManualStart"].iter().any(|key| is(key, "yes"))
    {
        return Some(format!("the unit {unit} may not be stopped and started by hand"));
    }
    let group = of("ControlGroup");
    let within = |line: &str| {
        let path = line.rsplit(':').next().unwrap_or_default();
        path == group || path.starts_with(&format!("{group}/"))
    };
    if group.len() > 1 && own.lines().any(within) {
        return Some(format!("this drill runs in the unit {unit}"));
    }
    if main == Some("focus") {
        return Some(format!("the unit {unit} is focus, not a database"));
    }
    None
}

/// The units that need this one: they are stopped along with it.
fn needing(found: &Properties) -> impl Iterator<Item = &str> {
    ["RequiredBy", "BoundBy", "ConsistsOf"]
        .into_iter()
        .flat_map(|key| property(found, key).split_whitespace())
        .filter(|name| is_unit(name))
}

impl SystemdOutage {
    /// The running units that go down along with this one.
    async fn along(&self, found: &Properties) -> Result<Vec<String>, Hindrance> {
        let mut open: Vec<String> = needing(found).map(str::to_owned).collect();
        let (mut seen, mut along) = (BTreeSet::from([self.unit.clone()]), Vec::new());
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if seen.len() > ALONG_MAX {
                return Err(Hindrance::Refused(format!(
                    "more than {ALONG_MAX} units go down along with {}: drill another way",
                    self.unit
                )));
            }
            let one = self.manager.show(&name).await.map_err(unreachable_manager)?;
            if ["active", "activating", "reloading"].contains(&property(&one, "ActiveState")) {
                open.extend(needing(&one).map(str::to_owned));
                along.push(name);
            }
        }
        along.sort();
        Ok(along)
    }
}

fn unreachable_manager(error: anyhow::Error) -> Hindrance {
    Hindrance::CouldNotTell(format!(
        "systemd does not answer: {error:#}. Is it running here? A user's own manager is asked with --user"
    ))
}

#[async_trait]
impl Outage for SystemdOutage {
    type Up = Units;

    fn describe(&self) -> String {
        let whose = if self.manager.user { "the user's unit" } else { "the unit" };
        format!("{whose} {} is stopped", self.unit)
    }

    async fn prepare(&mut self) -> Result<Prepared<Units>, Hindrance> {
        let found = self.manager.show(&self.unit).await.map_err(unreachable_manager)?;
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let main = property(&found, "MainPID").parse().ok().and_then(Process::read);
        let main = main.map(|process| process.name);
        if let Some(words) = hindrance(&self.unit, &found, &own, main.as_deref()) {
            return Err(Hindrance::Refused(words));
        }
        let along = self.along(&found).await?;
        let mut blast_radius = vec![self.describe()];
        blast_radius.extend(
            along.iter().map(|name| format!("{name} goes down with it, and is started again")),
        );
        let triggers = property(&found, "TriggeredBy");
        if !triggers.is_empty() {
            blast_radius.push(format!("{triggers} may start it again before the drill does"));
        }
        let target = Units { unit: self.unit.clone(), along, manager: self.manager.clone() };
        self.target = Some(target.clone());
        Ok(Prepared { blast_radius, marked: false, way_up: target })
    }

    async fn down(&self, journal: &Journal) -> anyhow::Result<()> {
        let target = self.target.as_ref().context("the outage was not prepared")?;
        let log = journal.folder().file("down.log");
        let manager = target.manager.words().join(" ");
        // The job is systemd's own once it is queued; a recovery's start takes its place.
        let command = format!("exec systemctl {manager} --no-block stop -- '{}'", target.unit);
        let held = HeldCommand::start(&command, &log, &[])?;
        journal.way_down(held.group.clone())?;
        let mut child = held.go().await?;
        let ended = tokio::time::timeout(LIMIT, child.wait()).await;
        let ended = ended.context("systemctl does not answer")??;
        anyhow::ensure!(ended.success(), "{} cannot be stopped: {}", target.unit, tail(&log));
        let begun = async {
            loop {
                let found = target.manager.show(&target.unit).await?;
                if property(&found, "ActiveState") != "active" {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let begun = tokio::time::timeout(LIMIT, begun).await;
        begun.with_context(|| format!("{} was told to stop, and runs on", target.unit))?
    }

    /// A unit that does not stop by itself is killed by systemd, after 90 s where nothing else is set.
    fn effect_within(&self) -> Duration {
        Duration::from_secs(100)
    }
}

#[async_trait]
impl WayUp for Units {
    fn describe(&self) -> String {
        format!("{} is started", self.all().collect::<Vec<_>>().join(", "))
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn up(&self, _surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
        // One that failed too often would not be started: that is of before.
        let all: Vec<&str> = self.all().collect();
        let forget: Vec<&str> = ["reset-failed", "--"].into_iter().chain(all.clone()).collect();
        let _ = self.manager.systemctl(LIMIT, &forget).await;
        // Waited for: while the old process is still ending it may answer as if it were back.
        let start: Vec<&str> = ["start", "--"].into_iter().chain(all).collect();
        self.manager.systemctl(START_LIMIT, &start).await.map(|_| ())
    }

    async fn left_behind(&self) -> anyhow::Result<Vec<String>> {
        let mut left = Vec::new();
        for unit in self.all() {
            let found = self.manager.show(unit).await?;
            let state = property(&found, "ActiveState");
            if !["active", "activating"].contains(&state) {
                left.push(format!("the unit {unit} was running, and is {state}"));
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(changes: &[(&str, &str)]) -> Properties {
        let mut found = parse(
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nCanStop=yes\nCanStart=yes\n\
             RefuseManualStop=no\nRefuseManualStart=no\nControlGroup=/system.slice/db.service\n\
             RequiredBy=a.service\nBoundBy=\nConsistsOf=b.service c.service\n",
        );
        found.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        found
    }

    #[test]
    fn a_unit_that_could_not_be_brought_back_as_it_was_is_refused() {
        assert_eq!(hindrance("db", &unit(&[]), "0::/user.slice", Some("mongod")), None);
        for (change, words) in [
            (("LoadState", "masked"), "masked"),
            (("UnitFileState", "masked-runtime"), "masked"),
            (("LoadState", "not-found"), "no unit"),
            (("LoadState", "bad-setting"), "bad-setting"),
            (("ActiveState", "inactive"), "does not run"),
            (("ActiveState", "activating"), "does not run"),
            (("CanStop", "no"), "by hand"),
            (("RefuseManualStart", "yes"), "by hand"),
        ] {
            let refused = hindrance("db", &unit(&[change]), "", None).unwrap_or_default();
            assert!(refused.contains(words), "{change:?}: {refused}");
        }
        let refused = |own: &str, main| hindrance("db", &unit(&[]), own, main).unwrap_or_default();
        assert!(refused("0::/system.slice/db.service/sub", None).contains("this drill runs"));
        assert_eq!(refused("0::/system.slice/db.service2", None), "");
        assert!(refused("", Some("focus")).contains("not a database"));
    }

    #[test]
    fn what_needs_a_unit_goes_down_with_it() {
        let found = unit(&[]);
        let names: Vec<&str> = needing(&found).collect();
        assert_eq!(names, ["a.service", "b.service", "c.service"]);
    }

    #[test]
    fn nothing_but_a_name_goes_on_a_command_line() {
        for good in ["mongod", "db@1.service", "a\\x2db.service"] {
            assert!(is_unit(good), "{good}");
        }
        for bad in ["-x", "a b", "a;b", "a'b", "a/b", "$x"] {
            assert!(!is_unit(bad), "{bad}");
        }
    }
}
