//! Alerts: the server watches itself, and tells people what is wrong.
//!
//! | file | what it does |
//! |---|---|
//! | `watch` | looks at the engine once a second, and keeps what is raised |
//! | `conditions` | what each rule says of what was seen |
//! | `board` | what is raised, what was told, and what is silenced; kept in the state folder |
//! | `kept` | what of it is kept, in the state folder and in the catalog |
//! | `handover` | hands what was told to whoever takes a root over |
//! | `channel` | a task for each channel: tells it what it is owed |
//! | `message` | the message of an alert in each channel's form |
//! | `mail` | the message as e-mail |
//! | `post` | one HTTP request, bounded in time and size |

mod board;
mod channel;
mod conditions;
mod handover;
mod kept;
mod mail;
mod message;
mod post;
mod watch;

use std::sync::Arc;

use focus_common::config::Settings;
use focus_drill::report::store::Drills;
use focus_engine::Engine;
use tokio::sync::watch as hand;
use tokio::task::JoinHandle;

pub use board::Board;
pub use channel::test;
use watch::Watched;

/// Watches the engine and tells the channels, until it is dropped.
#[derive(Debug)]
pub struct Alerting {
    board: Arc<Board>,
    engines: hand::Receiver<Arc<Engine>>,
    drills: Arc<Drills>,
    tasks: Vec<JoinHandle<()>>,
}

impl Alerting {
    /// Begins with these settings, and with what an earlier server has kept.
    pub fn begin(
        settings: &Settings,
        engines: hand::Receiver<Arc<Engine>>,
        drills: Arc<Drills>,
    ) -> Alerting {
        let board = Arc::new(Board::of(&settings.state_dir));
        let mut alerting = Alerting { board, engines, drills, tasks: Vec::new() };
        alerting.take(settings);
        alerting
    }

    /// Goes on with other settings. What was told stays told.
    pub fn take(&mut self, settings: &Settings) {
        self.end();
        let alerts = Arc::new(settings.alerts.clone());
        let (board, engines) = (Arc::clone(&self.board), self.engines.clone());
        board.set_channels(&alerts, settings.external_url.as_deref());
        self.tasks.push(tokio::spawn(handover::run(Arc::clone(&board), engines.clone())));
        let watched = Watched { engines, drills: Arc::clone(&self.drills) };
        self.tasks.push(tokio::spawn(watch::run(Arc::clone(&board), watched, Arc::clone(&alerts))));
        for channel in alerts.channels.clone() {
            let task = channel::run(Arc::clone(&board), Arc::clone(&alerts), channel);
            self.tasks.push(tokio::spawn(task));
        }
        if let Some(heartbeat) = alerts.heartbeat.clone() {
            self.tasks.push(tokio::spawn(channel::heartbeat(heartbeat)));
        }
    }

    /// What is raised, told and silenced.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    fn end(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Alerting {
    fn drop(&mut self) {
        self.end();
    }
}
