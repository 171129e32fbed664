//! Runs of many schedules, and what is said of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

#[cfg(focus_sim)]
use focus_core::broken;
use focus_core::broken::Broken;
use serde_json::json;

use crate::schedule::{self, Ran};
use crate::world::{FAULTS, Fate};

/// Schedules where nothing else is said.
const SCHEDULES: u64 = 20_000;

/// A broken variant has to be caught within so many.
const BROKEN_MAX: u64 = 150_000;

/// Everything that a server can be doing when it crashes.
const JOBS: [&str; 27] = [
    "Open",
    "Owe",
    "Pick",
    "Note",
    "Insert",
    "Upsert",
    "Read",
    "Adopt",
    "TakeOver",
    "Remove",
    "Prefer",
    "Mark",
    "Acknowledge",
    "Token",
    "Met",
    "Report",
    "Window",
    "Rows",
    "Found",
    "Held",
    "Claims",
    "SpotCheck",
    "Sweep",
    "Finish",
    "PickBeside",
    "NoteBeside",
    "AcknowledgeBeside",
];

/// Schedules one thread takes at a time.
const SLICE: u64 = 500;

/// What many schedules came to.
#[derive(Default)]
struct Total {
    schedules: u64,
    events: u64,
    violations: Vec<(u64, String)>,
    reached: BTreeSet<(&'static str, &'static str)>,
    crashed_in: BTreeSet<String>,
}

impl Total {
    fn add(&mut self, seed: u64, ran: Ran) {
        self.schedules += 1;
        self.events += ran.events;
        self.reached.extend(ran.reached);
        self.crashed_in.extend(ran.crashed_in);
        self.violations.extend(ran.violation.map(|words| (seed, words)));
    }

    fn join(&mut self, other: Total) {
        self.schedules += other.schedules;
        self.events += other.events;
        self.reached.extend(other.reached);
        self.crashed_in.extend(other.crashed_in);
        self.violations.extend(other.violations);
    }
}

/// What is asked for.
struct Asked {
    schedules: u64,
    seed: u64,
    json: bool,
    /// One broken variant alone.
    variant: Option<String>,
}

/// Runs the command line; true where all is well.
pub(crate) fn run(args: &[String]) -> Result<bool, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["replay", seed] => replay(number(seed)?),
        ["swarm"] => swarm(),
        _ => {
            let mut asked = Asked { schedules: SCHEDULES, seed: 1, json: false, variant: None };
            let mut variants = false;
            let mut rest = words.into_iter();
            while let Some(word) = rest.next() {
                match word {
                    "--schedules" => asked.schedules = number(rest.next().unwrap_or(""))?,
                    "--seed" => asked.seed = number(rest.next().unwrap_or(""))?,
                    "--json" => asked.json = true,
                    "--broken" => variants = true,
                    "--variant" => asked.variant = rest.next().map(str::to_owned),
                    other => return Err(format!("unknown: {other}")),
                }
            }
            if variants { try_broken(&asked) } else { schedules(&asked) }
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn threads() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

/// Runs seeds from `first` on, side by side; with `until_caught` it ends soon after a violation.
fn many(first: u64, count: u64, variant: Option<Broken>, until_caught: bool) -> Total {
    let next = std::sync::atomic::AtomicU64::new(0);
    let caught = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    let work = || {
        make(variant);
        let mut total = Total::default();
        loop {
            let at = next.fetch_add(SLICE, order);
            if at >= count || until_caught && caught.load(order) {
                return total;
            }
            for seed in first + at..first + (at + SLICE).min(count) {
                total.add(seed, schedule::run(seed, &BTreeSet::new(), false));
                if until_caught && !total.violations.is_empty() {
                    caught.store(true, order);
                    return total;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads()).map(|_| scope.spawn(work)).collect();
        let mut all = Total::default();
        for thread in threads {
            match thread.join() {
                Ok(total) => all.join(total),
                // An assertion of the core: its words have been printed, with the seed unknown.
                Err(_) => all.violations.push((0, "the core panicked".to_owned())),
            }
        }
        all.violations.sort();
        all
    })
}

fn make(variant: Option<Broken>) {
    #[cfg(focus_sim)]
    broken::set(variant);
    #[cfg(not(focus_sim))]
    let _ = variant;
}

fn schedules(asked: &Asked) -> Result<bool, String> {
    let began = Instant::now();
    let total = many(asked.seed, asked.schedules, None, false);
    let rate = total.schedules as f64 / began.elapsed().as_secs_f64();
    let mut never: Vec<&str> = kinds()
        .filter(|fault| !total.reached.iter().any(|(reached, _)| reached == fault))
        .collect();
    never.extend(JOBS.into_iter().filter(|job| !total.crashed_in.contains(*job)));
    let mut by_phase: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, phase) in &total.reached {
        *by_phase.entry(phase).or_default() += 1;
    }
    for (seed, words) in total.violations.iter().take(10) {
        eprintln!("seed {seed}: {words}\n  cargo xtask sim replay {seed}");
    }
    let good = total.violations.is_empty() && never.is_empty();
    if asked.json {
        println!(
            "{}",
            json!({
                "schedules": total.schedules,
                "events": total.events,
                "violations": total.violations.len(),
                "schedules_per_s": rate.round(),
                "fault_kinds": kinds().count(),
                "never_reached": never,
                "crashed_in": total.crashed_in,
                "faults_in_phases": total.reached.len(),
                "first_seed": asked.seed,
            })
        );
    } else {
        println!(
            "{} schedules, {} events, {} violations, {rate:.0} schedules/s",
            total.schedules,
            total.events,
            total.violations.len()
        );
        println!(
            "{} kinds of fault, in {} pairs with phases: {by_phase:?}; crashed in {} of {} jobs",
            kinds().count(),
            total.reached.len(),
            total.crashed_in.len(),
            JOBS.len(),
        );
        if !never.is_empty() {
            println!("never reached: {never:?}");
        }
    }
    Ok(good)
}

/// All kinds of fault: those that befall the world, and those that calls meet.
fn kinds() -> impl Iterator<Item = &'static str> {
    FAULTS.into_iter().chain(Fate::FAULTS.into_iter().map(|(_, name)| name))
}

fn try_broken(asked: &Asked) -> Result<bool, String> {
    if !cfg!(focus_sim) {
        return Err("broken variants are compiled with --cfg focus_sim alone".to_owned());
    }
    let mut variants = Vec::new();
    for variant in Broken::ALL {
        let name = format!("{variant:?}");
        if asked.variant.as_ref().is_some_and(|asked| *asked != name) {
            continue;
        }
        let total = many(asked.seed, BROKEN_MAX, Some(variant), true);
        let first = total.violations.first();
        let words = first.map_or("", |(_, words)| words.as_str());
        if !asked.json {
            let what = if first.is_some() { "caught" } else { "SURVIVED" };
            println!("{name}: {what} after {} schedules. {words}", total.schedules);
        }
        variants.push(json!({
            "name": name,
            "caught": first.is_some(),
            "schedules": total.schedules,
            "by": words,
        }));
    }
    let good = !variants.is_empty() && variants.iter().all(|one| one["caught"] == true);
    if asked.json {
        println!("{}", json!({ "variants": variants }));
    }
    Ok(good)
}

/// One schedule, with the faults left out that it does not take to break it.
fn replay(seed: u64) -> Result<bool, String> {
    let mut left_out = BTreeSet::new();
    let ran = schedule::run(seed, &left_out, true);
    let Some(words) = ran.violation else {
        println!("{}\nseed {seed}: no violation in {} events", ran.log.join("\n"), ran.events);
        return Ok(true);
    };
    let name = words.split(':').next().unwrap_or_default().to_owned();
    for fault in FAULTS {
        left_out.insert(fault);
        let again = schedule::run(seed, &left_out, false).violation;
        if !again.is_some_and(|words| words.starts_with(&name)) {
            left_out.remove(fault);
        }
    }
    let least = schedule::run(seed, &left_out, true);
    println!("{}", least.log.join("\n"));
    println!("left out: {left_out:?}");
    println!("seed {seed}: {}", least.violation.unwrap_or(words));
    Ok(false)
}

fn swarm() -> Result<bool, String> {
    let mut first = fastrand::u64(1..1 << 40);
    let began = Instant::now();
    let mut schedules = 0;
    loop {
        let total = many(first, 20_000, None, true);
        schedules += total.schedules;
        let rate = schedules as f64 / began.elapsed().as_secs_f64();
        println!("{schedules} schedules, {rate:.0}/s, seeds from {first}");
        if let Some((seed, words)) = total.violations.first() {
            println!("seed {seed}: {words}\n  cargo xtask sim replay {seed}");
            return Ok(false);
        }
        first += 20_000;
    }
}
