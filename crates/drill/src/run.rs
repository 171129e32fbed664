//! `focus drill run`: the ten steps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::baseline::Baseline;
use super::clean::{self, Cleaned};
use super::converge::Converge;
use super::database::Database;
use super::guard::Guard;
use super::judge::{self, Gathered};
use super::mark::{self, Mark};
use super::options::Flags;
use super::plan::{Folder, Journal, Plan, Progress, Stage};
use super::report::{FORMAT, Report, SideEffect, Step, Verdict};
use super::restore::{BACK_WITHIN, Back};
use super::site::{self, Site, Stop, steady};
use super::watcher::Watcher;
use super::{lock, pause, planting, recover};
use focus_common::clock;
use focus_common::config::Settings;

/// Both views agree that the database is away when so many looks of the drill in a row say so.
const LOOKS: u64 = 2;

/// The steps, in their order.
pub const STEPS: [&str; 10] = [
    "baseline",
    "outage",
    "unreachable",
    "plant",
    "restore",
    "reachable",
    "converge",
    "verdict",
    "side_effects",
    "clean_up",
];

/// Tells people what happens.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);

/// What a run came to.
#[derive(Debug)]
pub enum Outcome {
    /// `--dry-run`: what would be taken away.
    DryRun(Box<Report>),
    /// A report.
    Report(Box<Report>),
}

/// Runs a drill to its end. Whatever happens is in the report.
pub async fn run(settings: &Settings, flags: &Flags, say: Say<'_>) -> Outcome {
    let mut report = Report {
        format: FORMAT,
        id: id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: clock::rfc3339(clock::wall_ms()),
        ..Report::default()
    };
    let ended = drill(settings, flags, say, &mut report).await;
    report.ended_at = clock::rfc3339(clock::wall_ms());
    match ended {
        Ok(true) => return Outcome::DryRun(Box::new(report)),
        Ok(false) => {}
        Err(stop) => {
            report.verdict = stop.verdict;
            report.reason = Some(stop.words);
        }
    }
    Outcome::Report(Box::new(report))
}

/// A name that sorts by time and that no other drill has.
fn id() -> String {
    let digits: String =
        clock::rfc3339(clock::wall_ms()).chars().filter(char::is_ascii_digit).take(14).collect();
    let random = uuid::Uuid::new_v4().simple().to_string();
    let (day, time) = digits.split_at(digits.len().min(8));
    format!("{day}-{time}-{}", &random[..6])
}

async fn drill(
    settings: &Settings,
    flags: &Flags,
    say: Say<'_>,
    report: &mut Report,
) -> Result<bool, Stop> {
    let options = site::options(settings, flags)?;
    let folder = Folder::of(&settings.state_dir);
    folder.make()?;
    let lock = lock::take(&folder).await?;
    if lock.is_none() {
        return Err(Stop::refused(format!(
            "another drill is under way on the state folder {}",
            settings.state_dir.display()
        )));
    }
    if !options.dry_run {
        recover::locked(&folder, say).await.map_err(|error| {
            Stop::inconclusive(format!("an earlier drill could not be put right: {error:#}"))
        })?;
    }
    let site = site::look(settings, flags, options, report).await?;
    introduce(&site, report, say);
    site::allowed(&site).await?;
    if site.options.dry_run {
        return Ok(true);
    }
    let plan = plan(&site, report);
    // Before the mark: whoever recovers finds its name here.
    folder.write_plan(&plan)?;
    let taken = Mark::take(&site.database, &plan.id, say).await.map_err(Stop::from);
    let mark = match taken.and_then(|taken| taken.map_err(another)) {
        Ok(mark) => mark,
        Err(stop) => {
            folder.forget()?;
            return Err(stop);
        }
    };
    let ended = marked(&site, &folder, &mark, &plan, report, say).await;
    let nothing_broken = folder.progress().is_ok_and(|progress| progress.stage == Stage::Planned);
    // The plan goes last: while the mark may be there, so is it, and a recovery removes both.
    if nothing_broken && mark::release(&site.database, &report.id).await.is_ok() {
        folder.forget()?;
    }
    ended.map(|()| false)
}

fn another(drill: String) -> Stop {
    Stop::refused(format!(
        "another drill is under way on this database: {drill}. Wait for its end; if it died, run `focus drill recover` on its state folder"
    ))
}

/// Everything that will be done, and how it is undone.
fn plan(site: &Site, report: &Report) -> Plan {
    let (folder, planted) =
        planting::plan(&report.id, site.options.count, &site.extension, clock::wall_ms());
    Plan {
        format: Plan::FORMAT,
        id: report.id.clone(),
        started_at: report.started_at.clone(),
        root: site.root.clone(),
        root_id: site.root_id.clone(),
        server: site.server.address().to_owned(),
        database: site.address.clone(),
        restore: site.prepared.restore.clone(),
        deadline_ms: site.options.deadline_ms(),
        folder,
        planted,
    }
}

fn introduce(site: &Site, report: &Report, say: Say<'_>) {
    say(&format!("Drill {}: {}", report.id, report.title));
    say(&format!("   server     {}, root {}", report.server, report.root));
    say(&format!("   database   {}", report.database));
    let outage_s = millis_s(site.options.outage_for_ms);
    say(&format!("   outage     {}, for at least {outage_s} s", report.outage.what));
    say("   blast radius");
    for line in &report.outage.blast_radius {
        say(&format!("     - {line}"));
    }
    say(&format!(
        "     - {} recordings are planted below {}, and removed again",
        site.options.count, report.root
    ));
}

/// Seconds with a decimal, for people.
fn millis_s(ms: u64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}

/// The steps, where the mark is held.
async fn marked(
    site: &Site,
    folder: &Folder,
    mark: &Mark,
    plan: &Plan,
    report: &mut Report,
    say: Say<'_>,
) -> Result<(), Stop> {
    let mut interrupt = Interrupt::listen()?;
    let window = match (plan.planted.first(), plan.planted.last()) {
        (Some(first), Some(last)) => (first.start_ms, last.end_ms),
        _ => (0, 0),
    };
    let watcher = Watcher::start(site.probe.clone(), site.server.clone(), window);
    let drill = Drill {
        site,
        folder,
        mark,
        plan,
        window,
        watcher: Arc::new(watcher),
        journal: Journal::new(folder.clone(), Progress::default()),
        landings: Mutex::default(),
        say,
    };
    let ended = drill.steps(report, &mut interrupt).await;
    report.timeline = drill.watcher.timeline();
    report.queries = drill.watcher.queries();
    ended
}

struct Drill<'a> {
    site: &'a Site,
    folder: &'a Folder,
    mark: &'a Mark,
    plan: &'a Plan,
    window: (i64, i64),
    watcher: Arc<Watcher>,
    journal: Journal,
    /// When each recording landed, since the drill began.
    landings: Mutex<HashMap<String, u64>>,
    say: Say<'a>,
}

/// Times of an outage.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// The drill's last sight of the database.
    gone: Instant,
}

impl Drill<'_> {
    async fn steps(&self, report: &mut Report, interrupt: &mut Interrupt) -> Result<(), Stop> {
        let began = Instant::now();
        let ended = tokio::select! {
            ended = self.baseline() => ended,
            stop = interrupt.wait() => Err(stop),
        };
        let baseline = self.note(report, "baseline", began, ended)?;
        self.journal.stage(Stage::Planned)?;
        pause::at("planned", self.folder).await;
        let armed_ms = clock::boot_ms();
        let state_dir = &self.site.options.state_dir;
        let mut guard = Guard::arm(self.folder, state_dir, &self.plan.id).await?;
        pause::at("armed", self.folder).await;
        let broken = tokio::select! {
            broken = self.broken(report, armed_ms, &mut guard) => broken,
            stop = interrupt.wait() => Err(stop),
        };
        let down = self.journal.progress().stage >= Stage::DownBegun;
        let back = if down { self.back(report, broken.is_err()).await } else { Ok(()) };
        let judged = match (&broken, &back) {
            (Ok(times), Ok(())) => tokio::select! {
                judged = self.judged(report, *times, &baseline) => judged,
                stop = interrupt.wait() => Err(stop),
            },
            (Err(stop), _) | (_, Err(stop)) => Err(stop.clone()),
        };
        // A database that is not back leaves plan and guard where they are.
        back?;
        let (removed, cleaned) = self.clean(report, &baseline).await;
        if removed {
            pause::at("forgetting", self.folder).await;
            self.folder.forget()?;
            guard.dismiss().await;
        }
        judged?;
        cleaned?;
        self.conclude(report)
    }

    /// Tells a step and notes it.
    fn note<T>(
        &self,
        report: &mut Report,
        name: &str,
        began: Instant,
        ended: Result<(T, String), Stop>,
    ) -> Result<T, Stop> {
        let (ok, detail) = match &ended {
            Ok((_, detail)) => (true, detail.clone()),
            Err(stop) => (false, stop.words.clone()),
        };
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let number = STEPS.iter().position(|step| *step == name).map_or(0, |at| at + 1);
        let at = millis_s(self.watcher.elapsed_ms());
        let mark = if ok { "" } else { "NOT OK: " };
        (self.say)(&format!("{number:>2}  {name:<13} {at:>6} s  {mark}{detail}"));
        report.steps.push(Step { name: name.to_owned(), ok, elapsed_ms, detail });
        ended.map(|(value, _)| value)
    }

    /// Step 1.
    async fn baseline(&self) -> Result<(Baseline, String), Stop> {
        let status = steady(self.site).await?;
        let file = self.folder.file("baseline");
        let baseline = Baseline::take(&self.site.database, file).await?;
        let detail = format!(
            "{} documents in {}; the server is in step, {} recordings, {} pending",
            baseline.documents,
            self.plan.database.collection,
            status["recordings"],
            status["pending"]
        );
        Ok((baseline, detail))
    }

    /// Steps 2 to 4: the outage, its proof, and what lands meanwhile.
    async fn broken(
        &self,
        report: &mut Report,
        armed_ms: u64,
        guard: &mut Guard,
    ) -> Result<Times, Stop> {
        self.watcher.brisk(true);
        let began = Instant::now();
        let ended = self.down(armed_ms, guard).await;
        let begun = self.note(report, "outage", began, ended)?;
        pause::at("down_begun", self.folder).await;
        let began = Instant::now();
        let proved = self.proved(begun).await;
        report.outage.unreachable_for_drill = !self.watcher.drill().reachable;
        report.outage.unreachable_for_server = self.watcher.server().is_down();
        let (times, detect_ms) = self.note(report, "unreachable", began, proved)?;
        report.time_to_detect_ms = Some(detect_ms);
        self.watcher.brisk(false);
        pause::at("unreachable", self.folder).await;
        let began = Instant::now();
        let planted = self.planted().await;
        report.planted = self.on_storage();
        self.note(report, "plant", began, planted)?;
        pause::at("planted", self.folder).await;
        Ok(times)
    }

    /// Step 2.
    async fn down(&self, armed_ms: u64, guard: &mut Guard) -> Result<(Instant, String), Stop> {
        let ours = self.mark.is_ours(&self.site.database).await?;
        if !ours || self.mark.is_lost() {
            return Err(Stop::inconclusive(
                "another drill has taken this database over: nothing was broken",
            ));
        }
        self.mark.announce(&self.site.database, self.plan.deadline_ms).await?;
        planting::make_folder(self.plan)?;
        if !guard.stands() {
            return Err(Stop::inconclusive("the guard has ended: nothing was broken"));
        }
        self.journal.stage(Stage::DownBegun)?;
        pause::at("down_noted", self.folder).await;
        // A drill that was stopped until now must not break what its guard has already given up.
        if clock::boot_ms() >= armed_ms.saturating_add(self.plan.deadline_ms) {
            return Err(Stop::inconclusive("the deadline has passed before anything was broken"));
        }
        let begun = Instant::now();
        self.site.outage.down(&self.journal).await?;
        Ok((begun, self.site.outage.describe()))
    }

    /// Step 3.
    async fn proved(&self, begun: Instant) -> Result<((Times, u64), String), Stop> {
        let within = self.site.outage.effect_within();
        let away = self.watcher.until(within, |drill, server| {
            !drill.reachable && drill.in_a_row >= LOOKS && server.is_down()
        });
        let away = away.await;
        let (drill, server) = (self.watcher.drill(), self.watcher.server());
        if !away {
            let state = server.state.unwrap_or_else(|| "silent".to_owned());
            let words = match (drill.reachable, state.as_str()) {
                (true, "down") => {
                    "the server says that it is down, but the drill still reaches it".to_owned()
                }
                (true, _) => format!("the drill still reaches it, and the server says {state}"),
                (false, _) => format!("the drill does not reach it, but the server says {state}"),
            };
            return Err(Stop::inconclusive(format!(
                "the outage did not take the database away within {} s: {words}",
                within.as_secs()
            )));
        }
        self.journal.stage(Stage::Down)?;
        self.watcher.outage(true);
        let gone = drill.last_reached.map_or(begun, |seen| seen.max(begun));
        let noticed = server.since.unwrap_or_else(Instant::now);
        let detect = noticed.saturating_duration_since(gone);
        let detect_ms = u64::try_from(detect.as_millis()).unwrap_or(u64::MAX);
        let detail = format!(
            "for the drill (no primary takes writes) and for the server (catalog_state down), which noticed after {detect_ms} ms"
        );
        Ok(((Times { gone }, detect_ms), detail))
    }

    /// Step 4.
    async fn planted(&self) -> Result<((), String), Stop> {
        let began = tokio::time::Instant::now();
        let options = &self.site.options;
        let mut failed: Option<String> = None;
        let mut landed = 0;
        for (n, recording) in self.plan.planted.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "counts are small")]
            let after = Duration::try_from_secs_f64(n as f64 / options.rate);
            tokio::time::sleep_until(began + after.unwrap_or_default()).await;
            match &options.plant {
                None => planting::write(self.plan, recording)?,
                Some(command) => {
                    let ended =
                        planting::command(command, self.plan, recording, &self.journal).await;
                    // What the site's own command did not make is found to be not on storage.
                    if let Err(error) = ended {
                        failed.get_or_insert_with(|| format!("{error:#}"));
                    }
                }
            }
            if planting::is_there(self.plan, recording) {
                landed += 1;
                let mut landings = self.landings.lock().unwrap_or_else(PoisonError::into_inner);
                landings.insert(recording.uuid.clone(), self.watcher.elapsed_ms());
            }
            self.watcher.landed(landed);
            if self.watcher.breaches() > 0 {
                break;
            }
            if n == 0 {
                pause::at("planting", self.folder).await;
            }
        }
        let until = began + Duration::from_millis(options.outage_for_ms);
        while tokio::time::Instant::now() < until && self.watcher.breaches() == 0 {
            let next = tokio::time::Instant::now() + Duration::from_millis(50);
            tokio::time::sleep_until(until.min(next)).await;
        }
        let queries = self.watcher.queries();
        if self.watcher.breaches() > 0 {
            return Err(Stop::inconclusive(
                "the database came back before the outage was to end: what was planted may have been written at any time",
            ));
        }
        let pending =
            self.watcher.server().pending.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mut detail = format!(
            "{landed} recordings landed, {pending} pending; {} of {} queries answered, the slowest in {} ms",
            queries.answered,
            queries.asked,
            format_args!("{}.{}", queries.slowest_us / 1_000, queries.slowest_us % 1_000 / 100)
        );
        if let Some(failed) = failed {
            detail.push_str(&format!("; {failed}"));
        }
        Ok(((), detail))
    }

    fn on_storage(&self) -> u64 {
        let there = |planted: &&_| planting::is_there(self.plan, planted);
        self.plan.planted.iter().filter(there).count() as u64
    }

    /// Steps 5 and 6: always taken once the way down was begun.
    async fn back(&self, report: &mut Report, cut_off: bool) -> Result<(), Stop> {
        self.watcher.outage(false);
        self.watcher.brisk(true);
        let began = Instant::now();
        let restored = self.restored(cut_off).await;
        // Whoever brings it back: what counts is that it is back.
        let _ = self.note(report, "restore", began, restored);
        pause::at("up", self.folder).await;
        let reached = self.watcher.until(BACK_WITHIN, |drill, _| drill.reachable).await;
        if !reached {
            let words = format!(
                "the database does not take writes {} s after its way up. Bring it back by hand, then run `focus drill recover`",
                BACK_WITHIN.as_secs()
            );
            return self.note(report, "reachable", began, Err(Stop::inconclusive(words)));
        }
        self.journal.stage(Stage::Up)?;
        // Where it cannot be taken back others only wait longer.
        let _ = self.mark.announce(&self.site.database, 0).await;
        if cut_off {
            self.note(report, "reachable", began, Ok(((), "for the drill".to_owned())))?;
        }
        Ok(())
    }

    /// Step 5.
    async fn restored(&self, cut_off: bool) -> Result<((), String), Stop> {
        if cut_off && let Some(group) = &self.journal.progress().way_down {
            group.end();
        }
        self.journal.stage(Stage::UpBegun)?;
        pause::at("up_begun", self.folder).await;
        let restore = &self.plan.restore;
        let (folder, probe) = (self.folder, &self.site.probe);
        let back = Back { folder, probe, restore, plan_file: None };
        back.take().await?;
        Ok(((), restore.way_up().describe()))
    }

    /// Steps 6 to 9, where the database is back.
    async fn judged(
        &self,
        report: &mut Report,
        times: Times,
        baseline: &Baseline,
    ) -> Result<(), Stop> {
        let back_at = self.watcher.drill().since.unwrap_or_else(Instant::now);
        let outage = back_at.saturating_duration_since(times.gone);
        report.outage_ms = u64::try_from(outage.as_millis()).ok();
        // A client made before the outage may remember a database that is no more.
        let database = Database::open(&self.plan.database).await?;
        let converge = Converge::start(&database, self.plan, &self.watcher);
        let timeout = Duration::from_millis(self.site.options.timeout_ms);
        let began = Instant::now();
        let server = self.reached_by_server(timeout, report.outage_ms.unwrap_or(0)).await;
        let server = self.note(report, "reachable", began, server);
        pause::at("reachable", self.folder).await;
        let began = Instant::now();
        let seen = self.converged(&converge, back_at, timeout).await;
        report.time_to_converge_ms = seen.as_ref().ok().map(|((), ms, _)| *ms);
        let seen = seen.map(|((), _, detail)| ((), detail));
        let converged = self.note(report, "converge", began, seen);
        self.watcher.brisk(false);
        pause::at("converged", self.folder).await;
        let began = Instant::now();
        let gathered = Gathered {
            site: self.site,
            plan: self.plan,
            window_ms: self.window,
            database: &database,
            converge: &converge,
            watcher: &self.watcher,
            landings: self.landings.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let verdict = judge::verdict(&gathered, report).await.map(|detail| ((), detail));
        let verdict = self.note(report, "verdict", began, verdict);
        pause::at("verdict", self.folder).await;
        let began = Instant::now();
        let effects = self.side_effects(&database, baseline, report).await;
        let effects = self.note(report, "side_effects", began, effects);
        pause::at("side_effects", self.folder).await;
        // The verdict says more than that something was late.
        verdict.and(effects).and(converged).and(server)
    }

    /// Step 6.
    async fn reached_by_server(
        &self,
        timeout: Duration,
        outage_ms: u64,
    ) -> Result<((), String), Stop> {
        let knows = |state: &str| matches!(state, "in_step" | "recovering" | "standby");
        let there = self.watcher.until(timeout, |drill, server| {
            drill.reachable && server.state.as_deref().is_some_and(knows)
        });
        if there.await {
            let outage = millis_s(outage_ms);
            return Ok(((), format!("for the drill and for the server, after {outage} s")));
        }
        let state = self.watcher.server().state.unwrap_or_else(|| "silent".to_owned());
        Err(Stop::failed(format!(
            "the database takes writes, but {} s later the server still says {state}",
            timeout.as_secs()
        )))
    }

    /// Step 7.
    async fn converged(
        &self,
        converge: &Converge,
        back_at: Instant,
        timeout: Duration,
    ) -> Result<((), u64, String), Stop> {
        let left = timeout.saturating_sub(back_at.elapsed());
        let all = converge.all(left).await;
        let (seen, of) = (converge.seen(), self.plan.planted.len());
        // Whoever writes twice, or late, gets the time to show it.
        let calm = self
            .watcher
            .until(Duration::from_secs(5), |_, server| server.state.as_deref() == Some("in_step"));
        calm.await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        if !all {
            return Err(Stop::failed(format!(
                "{seen} of {of} recordings are in the catalog {} s after the database took writes again",
                timeout.as_secs()
            )));
        }
        let last = converge.last().unwrap_or(back_at).saturating_duration_since(back_at);
        let ms = u64::try_from(last.as_millis()).unwrap_or(u64::MAX);
        let detail =
            format!("all {of} in the catalog, {ms} ms after the database took writes again");
        Ok(((), ms, detail))
    }

    /// Step 9.
    async fn side_effects(
        &self,
        database: &Database,
        baseline: &Baseline,
        report: &mut Report,
    ) -> Result<((), String), Stop> {
        let (mut effects, others) = baseline.compare(database, self.plan, false).await?;
        let target = self.plan.restore.way_up().left_behind().await;
        let target = target.context("the outage's target cannot be asked how it is now")?;
        effects.extend(
            target.into_iter().map(|detail| SideEffect { what: "target".to_owned(), detail }),
        );
        report.side_effects = effects;
        report.others = others;
        let others = &report.others;
        let detail = format!(
            "{} other documents came, {} were written anew by the server",
            others.landed, others.updated
        );
        match report.side_effects.first() {
            None => Ok(((), format!("none; {detail}"))),
            Some(first) => Err(Stop::failed(format!(
                "{} side effects: {}; {detail}",
                report.side_effects.len(),
                first.detail
            ))),
        }
    }

    /// Step 10: always taken once the database is back. Also whether nothing is left to be removed by a
    /// recovery.
    async fn clean(&self, report: &mut Report, baseline: &Baseline) -> (bool, Result<(), Stop>) {
        let began = Instant::now();
        let removed = self.removed().await;
        let done = removed.is_ok() && planting::leftovers(self.plan).is_empty();
        let cleaned = match removed {
            Ok(cleaned) => self.as_before(report, baseline, cleaned).await,
            Err(stop) => Err(stop),
        };
        (done, self.note(report, "clean_up", began, cleaned))
    }

    async fn removed(&self) -> Result<Cleaned, Stop> {
        self.journal.stage(Stage::Cleaning)?;
        pause::at("cleaning", self.folder).await;
        let database = Database::open(&self.plan.database).await?;
        let again = |error: anyhow::Error| {
            Stop::failed(format!("{error:#}. Run `focus drill recover` once that is mended"))
        };
        let cleaned = clean::up(self.plan, &database, &self.site.server).await.map_err(again)?;
        pause::at("cleaned", self.folder).await;
        Ok(cleaned)
    }

    /// The baseline again.
    async fn as_before(
        &self,
        report: &mut Report,
        baseline: &Baseline,
        cleaned: Cleaned,
    ) -> Result<((), String), Stop> {
        let database = Database::open(&self.plan.database).await?;
        let (effects, others) = baseline.compare(&database, self.plan, true).await?;
        let left = planting::leftovers(self.plan).into_iter().map(|path| SideEffect {
            what: "leftover".to_owned(),
            detail: format!("{} is still there", path.display()),
        });
        for effect in effects.into_iter().chain(left) {
            if !report.side_effects.contains(&effect) {
                report.side_effects.push(effect);
            }
        }
        report.others = others;
        if let Some(first) = report.side_effects.first() {
            let count = report.side_effects.len();
            return Err(Stop::failed(format!("{count} side effects: {}", first.detail)));
        }
        let by = match cleaned.removed {
            0 => String::new(),
            count => format!(", {count} documents that the server had left were removed"),
        };
        let detail = format!(
            "nothing is left{by}; the {} documents of the baseline are as they were",
            baseline.documents
        );
        Ok(((), detail))
    }

    fn conclude(&self, report: &mut Report) -> Result<(), Stop> {
        let right = report.catalogued == self.plan.planted.len() as u64
            && report.side_effects.is_empty()
            && report.steps.iter().all(|step| step.ok);
        if !right {
            return Err(Stop::failed("not every step came out as it has to"));
        }
        report.verdict = Verdict::Passed;
        Ok(())
    }
}

/// Ctrl-C and SIGTERM.
struct Interrupt {
    seen: watch::Receiver<Option<&'static str>>,
}

impl Interrupt {
    /// From now on they do not end the process.
    fn listen() -> anyhow::Result<Interrupt> {
        let (mut terminate, mut interrupt, mut hangup) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        );
        let (sender, seen) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "Ctrl-C",
                    _ = hangup.recv() => "SIGHUP",
                };
                sender.send_replace(Some(name));
            }
        });
        Ok(Interrupt { seen })
    }

    async fn wait(&mut self) -> Stop {
        match self.seen.wait_for(Option::is_some).await {
            Ok(name) => Stop::inconclusive(format!(
                "interrupted by {}: the outage was ended and everything was cleaned up",
                name.unwrap_or("a signal")
            )),
            Err(_) => std::future::pending().await,
        }
    }
}
