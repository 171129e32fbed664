//! The jobs of a server's reconciler: handed out, under way, and done.

use focus_core::answer::Failure;
use focus_core::batch::{Call, ItemOutcome, Reply};
use focus_core::compare::{Compared, ComparedEntry, SpotCheck};
use focus_core::lease::LeaseState;
use focus_core::reconcile::{Done, Event, Job, Next, Right};
use focus_core::window::Window;

use super::{Server, ready_ms};
use crate::world::{Delayed, Fate, World};

/// A job handed out, and what is to come of it.
pub(crate) struct Flight {
    pub(crate) job: Job,
    done: Done,
    /// The answer is heard at this true time, not earlier.
    ready_ms: u64,
}

impl Server {
    /// The next step of the reconciler: a job, or its result, on either side. False: there was none.
    pub(crate) fn job_step(&mut self, world: &mut World) -> Result<bool, String> {
        // Neither side waits for the other.
        let is_beside_first = world.random.bool();
        if is_beside_first && self.step_beside(world)? {
            return Ok(true);
        }
        Ok(self.step_alone(world)? || (!is_beside_first && self.step_beside(world)?))
    }

    fn step_alone(&mut self, world: &mut World) -> Result<bool, String> {
        if let Some(flight) = self.flight.take_if(|flight| flight.ready_ms <= world.true_ms) {
            let done = self.finish(flight, world)?;
            self.core.handle(Event::Done(done));
            self.check_rules()?;
            return Ok(true);
        }
        if self.flight.is_some() {
            return Ok(false);
        }
        let now_ms = self.now_ms(world.true_ms);
        let right = match (self.lease.grant(), self.lease.state()) {
            (Some(grant), _) => Right::Granted(grant),
            (None, LeaseState::Standby) => Right::Standby,
            (None, _) => Right::Unknown,
        };
        self.core.handle(Event::Lease(right));
        let next = self.core.next_action(now_ms);
        self.check_rules()?;
        match next {
            Next::Idle { .. } => Ok(false),
            Next::Wait { .. } => {
                self.core.handle(Event::Timer);
                Ok(true)
            }
            Next::Run(job) => {
                self.check_write(&job, world)?;
                self.check_apart(&job)?;
                self.flight = Some(self.send(job, world));
                Ok(true)
            }
        }
    }

    fn step_beside(&mut self, world: &mut World) -> Result<bool, String> {
        if let Some(flight) = self.beside.take_if(|flight| flight.ready_ms <= world.true_ms) {
            let done = self.finish(flight, world)?;
            self.core.handle(Event::DoneBeside(done));
            self.check_rules()?;
            return Ok(true);
        }
        if self.beside.is_some() {
            return Ok(false);
        }
        let job = self.core.next_beside(self.now_ms(world.true_ms));
        self.check_rules()?;
        let Some(job) = job else { return Ok(false) };
        self.check_beside(&job)?;
        self.beside = Some(self.send(job, world));
        Ok(true)
    }

    /// The core has not stopped itself: that would be a fault of its own.
    fn check_rules(&self) -> Result<(), String> {
        self.core.violation().map_or(Ok(()), |violation| Err(violation.to_string()))
    }

    /// Carries out a job on the catalog; those on the index are done when it ends.
    fn send(&mut self, job: Job, world: &mut World) -> Flight {
        let fate = world.fate(self.is_connected(&world.catalog));
        let ready_ms = ready_ms(fate, world);
        Flight { done: self.answer(&job, fate, world), job, ready_ms }
    }

    fn answer(&mut self, job: &Job, fate: Fate, world: &mut World) -> Done {
        let lost = || Failure::transient("lost");
        if let Job::Call(Call::Prefer { uuid, path }) = job {
            // The index's own: no call on the catalog.
            return Done::Replied(Ok(Reply::Preferred(self.index.prefer(uuid, path))));
        }
        if let Job::Call(call) = job {
            if fate == Fate::Late {
                world.delayed.push(Delayed::Call(call.clone(), self.index.memory.token));
            }
            let part = (fate == Fate::Half).then(|| world.random.usize(0..2));
            let reply = (fate != Fate::Lost && fate != Fate::Late)
                .then(|| world.catalog.call(call, part, self.index.memory.token));
            world.remember();
            return Done::Replied(match reply {
                Some(reply) if matches!(fate, Fate::Good | Fate::Half | Fate::Slow) => Ok(reply),
                _ => Err(lost()),
            });
        }
        let good = matches!(fate, Fate::Good | Fate::Half | Fate::Slow);
        match job {
            Job::Open => Done::Opened(if good { Ok(world.catalog.open()) } else { Err(lost()) }),
            Job::Mark { watermark } => {
                match fate {
                    Fate::Lost => {}
                    Fate::Late => world.delayed.push(Delayed::Mark(watermark.clone())),
                    Fate::Good | Fate::Unheard | Fate::Half | Fate::Slow => {
                        world.catalog.data.watermark = Some(watermark.clone());
                    }
                }
                Done::Marked(if good { Ok(()) } else { Err(lost()) })
            }
            Job::Window { after, limit } => Done::Window(if good {
                let bound = self.index.uuid_after(after.as_ref(), Window::rows(*limit));
                let page = world.catalog.page(after.as_ref(), bound.as_ref(), *limit);
                Ok(Window::of(page, bound))
            } else {
                Err(lost())
            }),
            Job::SpotCheck { uuids } => Done::SpotChecked(if good {
                let documents = world.catalog.read(uuids.iter());
                Ok(SpotCheck { rows: Vec::new(), documents })
            } else {
                Err(lost())
            }),
            Job::Report => Done::Reported(Ok(0)),
            Job::Sweep { .. } => Done::Swept(if good { Ok(None) } else { Err(lost()) }),
            _ => Done::Stored,
        }
    }

    /// What a job came to; those on the index are done now.
    fn finish(&mut self, flight: Flight, world: &mut World) -> Result<Done, String> {
        let Flight { job, done, .. } = flight;
        let on_index = !matches!(done, Done::Replied(_) | Done::Opened(_) | Done::Marked(_));
        if on_index && world.index_fails() {
            return Ok(Done::IndexFailed("full".to_owned()));
        }
        Ok(match job {
            Job::Owe { identity } => {
                self.index.memory.identity = Some(identity);
                self.index.memory.owed = true;
                Done::Stored
            }
            Job::Pick(pick) => Done::Picked(self.index.pick(&pick)),
            Job::Note { ids, ahead } => {
                let not_pending = self.index.note(&ids);
                self.watermarks += 1;
                let watermark = format!("{}{}-{}", self.name, self.watermarks, world.true_ms);
                if !ahead {
                    self.index.memory.noted = Some(watermark.clone());
                }
                Done::Noted { watermark, not_pending }
            }
            Job::Acknowledge { watermark, outcomes, next } => {
                self.acknowledge(&outcomes, world)?;
                self.index.memory.remembered = Some(watermark);
                self.index.memory.noted = next;
                Done::Stored
            }
            Job::Token(token) => {
                self.index.memory.token = token;
                Done::Stored
            }
            Job::Met(token) => {
                self.lease.met(token);
                Done::Stored
            }
            Job::Rows { after, through, limit } => {
                Done::Rows(self.index.range(after.as_ref(), through.as_ref(), limit))
            }
            Job::Found { findings, missing } => {
                let dropped = self.found(&findings, world)?;
                self.index.add_missing(&missing, world.wall_ms());
                Done::Found { dropped }
            }
            Job::SpotCheck { uuids } => Done::SpotChecked(match done {
                Done::SpotChecked(Ok(SpotCheck { documents, .. })) => {
                    let rows = self.index.range(None, None, usize::MAX).items.into_iter();
                    let rows = rows.filter(|row| uuids.contains(&row.recording.uuid)).collect();
                    Ok(SpotCheck { rows, documents })
                }
                _ => Err(Failure::transient("lost")),
            }),
            Job::Held { limit } => Done::Uuids(self.index.held(limit)),
            Job::Claims(claims) => {
                self.acknowledge(&claims.refused, world)?;
                for (uuid, path) in &claims.elsewhere {
                    self.index.prefer(uuid, path);
                }
                Done::Stored
            }
            Job::Finish { identity, watermark, again } => {
                self.index.memory.identity = Some(identity);
                self.index.memory.owed = again;
                self.index.memory.remembered = Some(watermark);
                self.index.memory.noted = None;
                Done::Stored
            }
            _ => done,
        })
    }

    fn acknowledge(&mut self, outcomes: &[ItemOutcome], world: &World) -> Result<(), String> {
        let now_ms = self.now_ms(world.true_ms);
        for uuid in self.index.acknowledge(outcomes, now_ms) {
            let content = self.index.rows[&uuid].content();
            // A mark of what was not there when it was looked for needs no write.
            let nothing = content.deleted_at_ms.is_some();
            if !nothing && !world.was_written(&content) {
                return Err(format!("pending_cleared_only_after_ack: {uuid} was never written"));
            }
        }
        Ok(())
    }

    /// Stores what was compared; how many of the recordings that the catalog has are not in the index.
    fn found(&mut self, findings: &[ComparedEntry], world: &World) -> Result<u64, String> {
        let dropped = self.index.found(findings, world.wall_ms());
        for ComparedEntry { id, generation, found } in findings {
            if let (Some(row), Compared::Same) = (self.index.by_id(*id), found)
                && row.entry.generation == *generation
                && !world.was_written(&row.content())
            {
                let uuid = &row.recording.uuid;
                return Err(format!("pending_cleared_only_after_ack: {uuid} differs, compared"));
            }
        }
        Ok(dropped)
    }
}
