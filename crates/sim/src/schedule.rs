//! One schedule: faults among the servers' steps, then everything well again.

use std::collections::{BTreeMap, BTreeSet};

use focus_core::reconcile::Event;

use crate::catalog::Catalog;
use crate::invariants::{agrees, check};
use crate::log::Log;
use crate::server::Server;
use crate::storage::{RootIs, Storage};
use crate::world::{FAULTS, UUIDS, World};

/// Events of a schedule before it heals.
const EVENTS: usize = 200;

/// Rounds within which it has to converge once everything is well.
const ROUNDS_MAX: usize = 1_500;

/// Faults that matter together, and seldom come together by chance.
const THEMES: [&[&str]; 12] = [
    &["moved_away", "moved_back", "holder_paused"],
    &["backed_up", "outage", "roll_back", "return", "return", "crash"],
    &["backed_up", "land", "land", "roll_back", "land", "crash"],
    &["outage", "return", "restored", "emptied", "crash"],
    &["outage", "return", "cut_off", "pause", "primary_change"],
    &["drill_lands", "remove", "rename", "other_roots", "crash"],
    &["rename", "remove", "unmounted", "mounted", "hint_lost", "clock_set", "approve"],
    &["rename", "remove", "drill_lands", "remounted", "clock_set", "crash", "approve"],
    &["rename", "land", "marker_lost", "marker_made_again", "crash"],
    &["rename", "remove", "root_copied", "holder_paused", "crash", "primary_change"],
    &["mounted_over", "unmounted_below", "rename", "remove", "remounted", "crash", "approve"],
    &["exclude_grows", "exclude_shrinks", "rename", "remove", "rewrite", "crash", "approve"],
];

/// What a schedule came to.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) events: u64,
    /// Faults, and the phases of the first server that they met.
    pub(crate) reached: BTreeSet<(&'static str, &'static str)>,
    /// Jobs that were under way when a server crashed.
    pub(crate) crashed_in: BTreeSet<String>,
    pub(crate) violation: Option<String>,
    /// The events, where they were asked for.
    pub(crate) log: Vec<String>,
}

/// Runs the schedule of a seed. Faults in `left_out` do not happen.
pub(crate) fn run(seed: u64, left_out: &BTreeSet<&str>, keep_log: bool) -> Ran {
    let mut random = fastrand::Rng::with_seed(seed);
    let drift = random.i64(-5..=5);
    let mut servers = vec![Server::new("a", 5_000, drift).narrow(random.bool())];
    if random.bool() {
        servers.push(Server::new("b", 90_000, random.i64(-5..=5)));
    }
    if random.u8(0..4) == 0 {
        servers.push(Server::idle("c", 40_000, random.i64(-5..=5)));
    }
    // Every schedule has its own mix: rare combinations come up when common ones are left out.
    let mut mix: Vec<&'static str> = match random.u8(0..4) {
        0..=1 => FAULTS.into_iter().filter(|_| random.u8(0..3) != 0).collect(),
        2 => random.choose_multiple(FAULTS, 5),
        _ => THEMES[random.usize(..THEMES.len())].to_vec(),
    };
    mix.push("land");
    let mut world = World {
        faulty: random.u8(0..4) != 0,
        periodic: random.bool(),
        archive: random.u8(0..10) == 0,
        excludes: false,
        wall_ahead_ms: 0,
        storage: Storage { is_local: !seed.is_multiple_of(3), ..Storage::default() },
        clock_set_ms: 0,
        away: Vec::new(),
        catalog: Catalog::new(),
        met: Vec::new(),
        crashed_in: BTreeSet::new(),
        delayed: Vec::new(),
        granted: BTreeMap::new(),
        written: BTreeMap::new(),
        behind_the_back: false,
        starts: 0,
        has_copy: false,
        true_ms: 1_000,
        random,
    };
    let mut ran = Ran::default();
    let mut log = Log { on: keep_log, ..Log::default() };
    let done = events(&mut world, &mut servers, &mix, left_out, &mut log, &mut ran)
        .and_then(|()| converge(&mut world, &mut servers, &mut log, &mut ran));
    ran.crashed_in = world.crashed_in;
    ran.log = log.lines;
    // Alerts have a world of their own, which is quick: some schedules have it besides.
    ran.violation =
        done.err().or_else(|| seed.is_multiple_of(4).then(|| crate::alerts::run(seed)).flatten());
    ran
}

fn events(
    world: &mut World,
    servers: &mut [Server],
    mix: &[&'static str],
    left_out: &BTreeSet<&str>,
    log: &mut Log,
    ran: &mut Ran,
) -> Result<(), String> {
    for _ in 0..EVENTS {
        ran.events += 1;
        world.pass(false);
        if world.random.u8(0..4) == 0 {
            let fault = mix[world.random.usize(..mix.len())];
            let phase = servers[0].core.phase().name();
            // Drawn all the same, so that leaving one out changes nothing else.
            if !left_out.contains(fault) && world.fault(servers, fault) {
                ran.reached.insert((fault, phase));
                log.step(world, servers, || fault.to_owned());
            }
        }
        for at in 0..servers.len() {
            if servers[at].is_idle {
                continue;
            }
            if servers[at].paused_until_ms <= world.true_ms {
                servers[at].notice(&world.catalog);
                servers[at].lease_step(world)?;
                servers[at].lease_step(world)?;
            }
            for _ in 0..world.random.u8(0..6) {
                let server = &mut servers[at];
                if server.paused_until_ms > world.true_ms {
                    break;
                }
                server.swap_storage(world);
                let what = step(server, world)?;
                server.swap_storage(world);
                if let Some(what) = what {
                    log.step(world, servers, || format!("{} {what}", servers[at].name));
                }
            }
        }
        let phase = servers[0].core.phase().name();
        ran.reached.extend(world.met.drain(..).map(|fault| (fault, phase)));
        check(world, servers)?;
    }
    Ok(())
}

/// One step of a server, whichever comes.
fn step(server: &mut Server, world: &mut World) -> Result<Option<String>, String> {
    let text = |words: &str| Some(words.to_owned());
    Ok(match world.random.u8(0..12) {
        0..=4 => server.job_step(world)?.then(|| format!("works: {}", server.doing())),
        5..=6 => {
            server.lease_step(world)?;
            Some(format!("keeps the lease: {}", server.lease_words(world)))
        }
        7 => {
            server.notice(&world.catalog);
            text("looks at the connection")
        }
        8..=9 => {
            let count = world.random.usize(1..4);
            server.observe(count, world)?;
            text("observes")
        }
        10 => {
            server.conclude(world)?;
            text("concludes")
        }
        _ => match world.random.u8(0..10) {
            0..=1 => {
                server.scan(world)?;
                text("scans")
            }
            2 => {
                server.scan_names(world)?;
                text("scans names")
            }
            3 if world.periodic => {
                server.core.handle(Event::CompareDue);
                text("compares")
            }
            4 => {
                server.index.retry(server.now_ms(world.true_ms));
                server.core.handle(Event::Wake);
                text("tries again")
            }
            5..=6 => {
                let uuid = UUIDS[world.random.usize(..UUIDS.len())].to_owned();
                let everything = world.random.u8(0..4) == 0;
                let uuids = BTreeSet::from([uuid]);
                server.core.handle(Event::ChangedByOthers { uuids, everything });
                text("is told of changes by others")
            }
            _ => None,
        },
    })
}

/// Everything is well again: within a bound the catalog is as storage is.
fn converge(
    world: &mut World,
    servers: &mut [Server],
    log: &mut Log,
    ran: &mut Ran,
) -> Result<(), String> {
    world.faulty = false;
    world.storage.root = RootIs::There;
    world.storage.mount_all();
    world.catalog.up = true;
    world.catalog.refused = None;
    world.delayed.clear();
    for server in servers.iter_mut() {
        if server.excludes != world.excludes {
            world.crash(server);
        }
        server.cut_off = false;
        server.paused_until_ms = 0;
        server.index.retry(u64::MAX);
        server.core.handle(Event::Wake);
        if world.behind_the_back {
            server.core.handle(Event::CompareDue);
        }
    }
    let mut last = String::new();
    for round in 0..ROUNDS_MAX {
        ran.events += 1;
        world.pass(true);
        for at in (0..servers.len()).filter(|at| !servers[*at].is_idle).collect::<Vec<_>>() {
            servers[at].swap_storage(world);
            heal(round, at, world, servers, log)?;
            servers[at].swap_storage(world);
        }
        check(world, servers)?;
        if round % 25 == 24 {
            match agrees(world, servers) {
                Ok(()) => return Ok(()),
                Err(differs) => last = differs,
            }
        }
    }
    let states: Vec<String> = servers.iter().map(|server| server.index_words(&last)).collect();
    Err(format!("converges_when_healthy: after {ROUNDS_MAX} rounds: {last}; {states:?}"))
}

fn heal(
    round: usize,
    at: usize,
    world: &mut World,
    servers: &mut [Server],
    log: &mut Log,
) -> Result<(), String> {
    let server = &mut servers[at];
    server.notice(&world.catalog);
    server.lease_step(world)?;
    server.observe(100, world)?;
    if round.is_multiple_of(50) {
        server.index.retry(u64::MAX);
        server.core.handle(Event::Wake);
    }
    if round.is_multiple_of(30) {
        server.scan(world)?;
    }
    server.conclude(world)?;
    if round % 100 == 99 && server.index.approve(world.wall_ms()) {
        server.core.handle(Event::Wake);
    }
    log.step(world, servers, || {
        format!("{} heals: {}", servers[at].name, servers[at].lease_words(world))
    });
    for _ in 0..6 {
        if !servers[at].job_step(world)? {
            break;
        }
        log.step(world, servers, || format!("{} works: {}", servers[at].name, servers[at].doing()));
    }
    Ok(())
}
