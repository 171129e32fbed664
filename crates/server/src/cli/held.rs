//! `focus held`: the deletions that are held, and why.

use std::time::Duration;

use focus_http::api::{held_cursor, held_deletion};
use focus_index::Reader;
use focus_storage::marker;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::output::{Output, cell};
use super::query::reader;
use super::{Ending, Stop, running_server, runtime};
use focus_common::client::{Client, escape};
use focus_common::config::{RootSettings, Settings};

const LIMIT: Duration = Duration::from_secs(30);

/// Deletions that are asked for at a time: memory holds so many.
const PAGE: usize = 1_000;

/// What is held of one root.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HeldRoot {
    /// The id in its marker.
    pub(super) root: String,
    pub(super) path: String,
    /// How many deletions.
    pub(super) held: u64,
    /// The end of this set: what is held later is not part of it.
    pub(super) through: i64,
}

/// Who knows what is held.
pub(super) enum Holder {
    Server(Client),
    Index(Reader),
}

pub(super) fn held(settings: &Settings, out: &Output) -> anyhow::Result<Ending> {
    if settings.roots.is_empty() {
        return Err(Stop::error(Ending::Refused, "which root? Give --root DIR"));
    }
    runtime()?.block_on(async {
        let holder = Holder::of(settings)?;
        let roots = holder.roots(&settings.roots).await?;
        show(&holder, &roots, false, out).await?;
        if roots.iter().any(|root| root.held > 0) {
            out.line("`focus approve --root DIR` has them marked as deleted. What comes back to storage is held no more");
        }
        Ok(Ending::InOrder)
    })
}

impl Holder {
    /// The running server, else the index file.
    pub(super) fn of(settings: &Settings) -> anyhow::Result<Holder> {
        Ok(match running_server(&settings.state_dir)? {
            Some(server) => Holder::Server(server),
            None => Holder::Index(reader(settings)?),
        })
    }

    /// What is held of each of these roots now.
    pub(super) async fn roots(&self, roots: &[RootSettings]) -> anyhow::Result<Vec<HeldRoot>> {
        let mut held = Vec::new();
        for root in roots {
            held.push(self.root(root).await?);
        }
        Ok(held)
    }

    async fn root(&self, root: &RootSettings) -> anyhow::Result<HeldRoot> {
        let path = root.path.display().to_string();
        let id = match marker::read(&root.path) {
            Ok(id) => Some(id),
            Err(problem) if root.path.exists() => {
                return Err(Stop::error(Ending::Refused, problem.to_string()));
            }
            // It is not there. Its path says which one it is.
            Err(_) => None,
        };
        match self {
            Holder::Server(server) => {
                let wanted = escape(id.as_ref().unwrap_or(&path));
                let asked = format!("/api/v1/held?limit=1&root={wanted}");
                let answer = server.get(&asked, LIMIT).await.map_err(Stop::of)?;
                Ok(serde_json::from_value(answer)?)
            }
            Holder::Index(reader) => {
                let id = match id {
                    Some(id) => Some(id),
                    None => reader.marker_at(&path)?,
                };
                let known = match &id {
                    Some(id) => reader.root_with_marker(id)?,
                    None => None,
                };
                let (Some(marker), Some((row, path))) = (id, known) else {
                    return Err(Stop::error(
                        Ending::Refused,
                        format!(
                            "the index does not know the root {path}, so nothing is held there: `focus scan --root {path}` looks at it"
                        ),
                    ));
                };
                Ok(HeldRoot {
                    root: marker,
                    path,
                    held: reader.root_totals(row)?.held,
                    through: reader.held_through(row)?,
                })
            }
        }
    }

    /// A page of the set, after this place in the order of holding.
    async fn page(&self, root: &HeldRoot, after: i64) -> anyhow::Result<Vec<Value>> {
        let mut rows: Vec<Value> = match self {
            Holder::Server(server) => {
                let mut asked = format!("/api/v1/held?limit={PAGE}&root={}", escape(&root.root));
                if after > 0 {
                    asked.push_str(&format!("&cursor={}", held_cursor(&root.root, after)));
                }
                let mut answer = server.get(&asked, LIMIT).await.map_err(Stop::of)?;
                serde_json::from_value(answer["items"].take())?
            }
            Holder::Index(reader) => match reader.root_with_marker(&root.root)? {
                Some((row, _)) => {
                    reader.held(row, after, PAGE)?.iter().map(held_deletion).collect()
                }
                None => Vec::new(),
            },
        };
        rows.retain(|row| row["seq"].as_i64().is_some_and(|seq| seq <= root.through));
        Ok(rows)
    }
}

/// Shows what is held of each root. For programs it is one JSON object, written as it is read.
pub(super) async fn show(
    holder: &Holder,
    roots: &[HeldRoot],
    dry_run: bool,
    out: &Output,
) -> anyhow::Result<()> {
    let json = |text: String| {
        if out.is_json() {
            out.raw(text.as_bytes());
        }
    };
    let held: u64 = roots.iter().map(|root| root.held).sum();
    json(format!("{{\"held\": {held}, \"dry_run\": {dry_run}, \"roots\": ["));
    for (at, root) in roots.iter().enumerate() {
        if root.held == 0 {
            out.line(&format!("{}: nothing is held", root.path));
        } else {
            out.line(&format!("{}: {} deletions are held", root.path, root.held));
        }
        let head = json!(root).to_string();
        let comma = if at == 0 { "" } else { "," };
        json(format!("{comma}\n{}, \"deletions\": [", head.trim_end_matches('}')));
        let shown = deletions(holder, root, out).await;
        json("]}".to_owned());
        if shown.is_err() {
            json("]}\n".to_owned());
        }
        shown?;
    }
    json("\n]}\n".to_owned());
    Ok(())
}

async fn deletions(holder: &Holder, root: &HeldRoot, out: &Output) -> anyhow::Result<()> {
    let (mut after, mut count, mut reason) = (0, 0, String::new());
    loop {
        let rows = holder.page(root, after).await?;
        let Some(last) = rows.last().and_then(|row| row["seq"].as_i64()) else { return Ok(()) };
        after = last;
        let mut text = String::new();
        for row in &rows {
            let said = |key: &str| cell(row[key].as_str().unwrap_or_default());
            if out.is_json() {
                text.push_str(if count == 0 { "\n  " } else { ",\n  " });
                text.push_str(&row.to_string());
            } else {
                if said("reason") != reason {
                    reason = said("reason");
                    text.push_str(&format!("  {reason}:\n"));
                }
                let (uuid, path) = (said("uuid"), said("path"));
                text.push_str(&format!("    {uuid}  {path}  gone since {}\n", said("gone_since")));
            }
            count += 1;
        }
        out.raw(text.as_bytes());
        if out.is_closed() {
            return Ok(());
        }
    }
}
