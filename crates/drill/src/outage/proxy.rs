//! An outage through `focus drill proxy`, which stands between the server and the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::contract::{Hindrance, Outage, Prepared, Surroundings, WayUp};
use crate::database::address::Address;
use crate::proxy::protocol::{Answer, LINE_BYTES_MAX, Mode, Order};
use crate::scenario::options::Options;
use crate::state::journal::Journal;

/// The proxy answers within this, or is not there.
const LIMIT: Duration = Duration::from_secs(3);

/// `--outage proxy`.
#[derive(Debug)]
pub struct ProxyOutage {
    control: PathBuf,
    mode: Mode,
    fallback_ms: u64,
    between: Option<String>,
    /// Where it listens.
    listen: Option<String>,
}

impl ProxyOutage {
    /// The outage that these options describe. Nothing is looked at yet.
    ///
    /// # Errors
    /// The method is wrong.
    pub fn new(options: &Options) -> Result<ProxyOutage, Hindrance> {
        let mode = match options.method.as_deref().unwrap_or("refuse") {
            "refuse" => Mode::Refuse,
            "black-hole" => Mode::BlackHole,
            "reset" => Mode::Reset,
            "slow" => Mode::Slow { latency_ms: options.latency_ms, bytes_per_s: options.bandwidth },
            other => {
                return Err(Hindrance::Refused(format!(
                    "--method {other}: the proxy takes refuse, black-hole, reset or slow"
                )));
            }
        };
        let control = options.control.clone();
        Ok(ProxyOutage {
            control: control.unwrap_or_else(|| options.state_dir.join("drill").join("proxy.sock")),
            mode,
            fallback_ms: options.deadline_ms(),
            between: None,
            listen: None,
        })
    }
}

#[async_trait]
impl Outage for ProxyOutage {
    type Up = ProxyUp;

    fn describe(&self) -> String {
        let between = self.between.as_deref().unwrap_or("between server and database");
        format!("the proxy {between} {}", self.mode.words())
    }

    async fn prepare(&mut self) -> Result<Prepared<ProxyUp>, Hindrance> {
        let answer = order(&self.control, &Order::Show).await.map_err(|error| {
            Hindrance::CouldNotTell(format!(
                "the proxy does not answer at {}: {error:#}. Start `focus drill proxy`, or name its control socket with --control FILE",
                self.control.display()
            ))
        })?;
        self.between = Some(format!("{} to {}", answer.listen, answer.upstream));
        self.listen = Some(answer.listen.clone());
        let prepared = Prepared {
            blast_radius: vec![
                self.describe(),
                format!("{} connections go through it now", answer.connections),
            ],
            marked: false,
            way_up: ProxyUp { control: self.control.clone() },
        };
        if answer.mode != Mode::Pass {
            return Err(Hindrance::Refused(format!(
                "the proxy at {} is not letting everything through: it {}. Another drill may be using it",
                self.control.display(),
                answer.mode.words()
            )));
        }
        Ok(prepared)
    }

    async fn suits(&self, address: &Address, hosts: &[String]) -> Result<(), Hindrance> {
        let Some(listen) = &self.listen else { return Ok(()) };
        // Where the server does not tell, its status will say whether the outage took effect.
        let passes = hosts.is_empty() || hosts.iter().any(|host| host == listen);
        let named = address.leads_around(listen).await.map_err(|error| {
            Hindrance::CouldNotTell(format!(
                "the database does not answer through the proxy at {listen}: {error:#}"
            ))
        })?;
        match named {
            Some(named) if !passes || !address.is_direct().await => {
                Err(Hindrance::Refused(format!(
                    "the database names its members {}, and clients go there, around the proxy at {listen}: give server and drill a connection string with directConnection=true, such as mongodb://{listen}/?directConnection=true",
                    named.join(", ")
                )))
            }
            None if !passes => Err(Hindrance::Refused(format!(
                "the server's calls go to {}, and not through the proxy at {listen}: start the server with --mongodb-uri mongodb://{listen}/",
                hosts.join(", ")
            ))),
            _ => Ok(()),
        }
    }

    async fn down(&self, _journal: &Journal) -> anyhow::Result<()> {
        let set = Order::Set { mode: self.mode, fallback_ms: self.fallback_ms };
        order(&self.control, &set).await.map(|_| ())
    }
}

/// The way up: the proxy passes everything on again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyUp {
    /// Its control socket.
    pub control: PathBuf,
}

#[async_trait]
impl WayUp for ProxyUp {
    fn describe(&self) -> String {
        "the proxy lets everything through".to_owned()
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn up(&self, _surroundings: &Surroundings<'_>) -> anyhow::Result<()> {
        order(&self.control, &Order::Set { mode: Mode::Pass, fallback_ms: 0 }).await.map(|_| ())
    }

    async fn left_behind(&self) -> anyhow::Result<Vec<String>> {
        let answer = order(&self.control, &Order::Show).await?;
        let passes = answer.mode == Mode::Pass;
        Ok(if passes { Vec::new() } else { vec![format!("the proxy {}", answer.mode.words())] })
    }
}

/// Gives the proxy an order.
async fn order(control: &Path, order: &Order) -> anyhow::Result<Answer> {
    let work = async {
        let stream = UnixStream::connect(control).await?;
        let (read, mut write) = stream.into_split();
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(read.take(LINE_BYTES_MAX)).read_line(&mut answer).await?;
        serde_json::from_str::<Answer>(&answer).context("the answer is not one of a proxy's")
    };
    tokio::time::timeout(LIMIT, work).await.context("no answer within 3 s")?
}
