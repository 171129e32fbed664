//! The baseline: what the catalog held before a drill, and what differs after it.
//!
//! A file of the drill's folder holds a line per document, ordered by uuid, so that memory does not grow with
//! the catalog. On a live site recordings keep landing: what is new is counted, and only what went, or was
//! altered behind the server's back, is a side effect.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Lines, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use mongodb::bson::raw::{RawBsonRef, RawDocument};
use serde::{Deserialize, Serialize};

use crate::database::client::Database;
use crate::plan::Plan;
use crate::report::{Others, SideEffect, SideEffectKind};

/// Side effects told of one kind at most; further ones are counted.
const TOLD_MAX: usize = 20;

/// Fields that the server sets; every other one belongs to somebody else.
const OURS: [&str; 14] = [
    "_id",
    "uuid",
    "start_time",
    "end_time",
    "deleted",
    "deleted_at",
    "recording_id",
    "root",
    "path",
    "size",
    "fingerprint",
    "metadata",
    "indexed_at",
    "version",
];

/// Whether a collection is the server's own, which it may create at any time.
fn is_servers_own(name: &str, collection: &str) -> bool {
    name == "focus_meta" || name == format!("{collection}-unrecognized_recordings")
}

/// A document, as short as it can be told from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    uuid: String,
    /// Whether it has a `root`: the server writes it.
    ours: bool,
    version: i64,
    whole: u64,
    /// The fields that are not the server's.
    others: u64,
}

/// What the catalog held.
#[derive(Debug)]
pub struct Baseline {
    file: PathBuf,
    /// How many documents.
    pub documents: u64,
    shape: Vec<(String, Vec<String>)>,
}

impl Baseline {
    /// Reads every document and every index, and writes the documents' fingerprints to `file`.
    ///
    /// # Errors
    /// The database does not answer, or the file cannot be written.
    pub async fn take(database: &Database, file: PathBuf) -> anyhow::Result<Baseline> {
        let told = || format!("{} cannot be written", file.display());
        // Left over from a drill that was killed; a link here must not lead elsewhere.
        let _ = std::fs::remove_file(&file);
        let opened = std::fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&file)
            .with_context(told)?;
        let mut out = BufWriter::new(opened);
        let mut documents = 0;
        database
            .each(|document| {
                documents += 1;
                if let Some(entry) = entry(document) {
                    serde_json::to_writer(&mut out, &entry)?;
                    out.write_all(b"\n")?;
                }
                Ok(())
            })
            .await?;
        out.flush().with_context(told)?;
        let shape = database.shape().await?;
        Ok(Baseline { file, documents, shape })
    }

    /// What differs now: side effects, and a count of the changes that others made. `cleaned` says that nothing
    /// of the drill may be there any more.
    ///
    /// # Errors
    /// The database does not answer, or the file cannot be read.
    pub async fn compare(
        &self,
        database: &Database,
        plan: &Plan,
        cleaned: bool,
    ) -> anyhow::Result<(Vec<SideEffect>, Others)> {
        let file = File::open(&self.file)
            .with_context(|| format!("{} cannot be read", self.file.display()))?;
        let planted = plan.planted.iter().map(|planted| planted.uuid.as_str()).collect();
        let before = Before { lines: BufReader::new(file).lines(), next: None };
        let mut merge = Merge {
            before,
            planted,
            drill: &plan.id,
            cleaned,
            others: Others { before: self.documents, ..Others::default() },
            effects: Vec::new(),
            last: None,
        };
        merge.before.advance()?;
        database.each(|document| merge.meet(document)).await?;
        merge.rest()?;
        let mut effects = merge.effects;
        let shape = database.shape().await?;
        effects.extend(shapes(&self.shape, &shape, &plan.database.collection));
        Ok((shortened(effects), merge.others))
    }
}

fn entry(document: &RawDocument) -> Option<Entry> {
    let uuid = document.get_str("uuid").ok()?.to_owned();
    let number = |key: &str| match document.get(key) {
        Ok(Some(RawBsonRef::Int64(value))) => value,
        Ok(Some(RawBsonRef::Int32(value))) => i64::from(value),
        _ => 0,
    };
    let mut others = 0_u64;
    for element in document.iter() {
        let (key, value) = element.ok()?;
        let key = key.to_string();
        if !OURS.contains(&key.as_str()) {
            // Without regard to their order.
            others = others.wrapping_add(hash(format!("{key}={value:?}").as_bytes()));
        }
    }
    Some(Entry {
        uuid,
        ours: document.get_str("root").is_ok(),
        version: number("version"),
        whole: hash(document.as_bytes()),
        others,
    })
}

/// FNV-1a: the same in every run, which the standard library's does not promise.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// The file, an entry at a time.
struct Before {
    lines: Lines<BufReader<File>>,
    next: Option<Entry>,
}

impl Before {
    fn advance(&mut self) -> anyhow::Result<Option<Entry>> {
        let line = self.lines.next().transpose()?;
        let next = line.map(|line| serde_json::from_str(&line)).transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

/// Both sides, side by side by uuid.
struct Merge<'a> {
    before: Before,
    planted: HashSet<&'a str>,
    drill: &'a str,
    cleaned: bool,
    others: Others,
    effects: Vec<SideEffect>,
    last: Option<String>,
}

impl Merge<'_> {
    fn meet(&mut self, document: &RawDocument) -> anyhow::Result<()> {
        let Some(now) = entry(document) else { return Ok(()) };
        let drills = |metadata: &RawDocument| {
            metadata.get_str("focus_drill").is_ok_and(|id| id == self.drill)
        };
        let named = document.get_document("metadata").is_ok_and(drills);
        if self.planted.contains(now.uuid.as_str()) || named {
            // The verdict tells of these while they may be there.
            if self.cleaned {
                self.effect(
                    SideEffectKind::Leftover,
                    format!("the document of {:?} is still there", now.uuid),
                );
            }
            return Ok(());
        }
        if self.last.as_ref().is_some_and(|last| *last > now.uuid) {
            anyhow::bail!(
                "the database orders uuids otherwise than by their bytes (a collation?), so the documents cannot be compared"
            );
        }
        while self.before.next.as_ref().is_some_and(|before| before.uuid < now.uuid) {
            self.went()?;
        }
        if self.before.next.as_ref().is_some_and(|before| before.uuid == now.uuid) {
            if let Some(before) = self.before.advance()? {
                self.same(&before, &now);
            }
        } else if self.last.as_ref() == Some(&now.uuid) {
            self.effect(
                SideEffectKind::Document,
                format!("the uuid {:?} has one document more", now.uuid),
            );
        } else {
            self.others.landed += 1;
        }
        self.last = Some(now.uuid);
        Ok(())
    }

    fn rest(&mut self) -> anyhow::Result<()> {
        while self.before.next.is_some() {
            self.went()?;
        }
        Ok(())
    }

    fn went(&mut self) -> anyhow::Result<()> {
        if let Some(before) = self.before.advance()? {
            self.effect(
                SideEffectKind::Document,
                format!("the document of {:?} is gone", before.uuid),
            );
        }
        Ok(())
    }

    fn same(&mut self, before: &Entry, now: &Entry) {
        if before.whole == now.whole {
            return;
        }
        let name = &now.uuid;
        match (before.ours, now.ours) {
            (false, false) => self.others.foreign_changed += 1,
            (true, false) => {
                self.effect(
                    SideEffectKind::Field,
                    format!("the document of {name:?} has lost its root"),
                );
            }
            (_, true) if before.others != now.others => {
                self.effect(
                    SideEffectKind::Field,
                    format!("fields of others in the document of {name:?} were changed"),
                );
            }
            (false, true) => self.others.updated += 1,
            (true, true) if now.version > before.version => self.others.updated += 1,
            (true, true) => {
                self.effect(SideEffectKind::Document, format!("the document of {name:?} was changed behind the server's back: its version is the same"));
            }
        }
    }

    fn effect(&mut self, what: SideEffectKind, detail: String) {
        self.effects.push(SideEffect { what, detail });
    }
}

/// What differs between two lists of collections and indexes.
fn shapes(
    before: &[(String, Vec<String>)],
    now: &[(String, Vec<String>)],
    collection: &str,
) -> Vec<SideEffect> {
    let mut effects = Vec::new();
    let mut tell = |what, detail| effects.push(SideEffect { what, detail });
    for (name, indexes) in before {
        match now.iter().find(|(other, _)| other == name) {
            None => tell(SideEffectKind::Collection, format!("the collection {name} is gone")),
            Some((_, others)) => {
                for index in indexes.iter().filter(|index| !others.contains(index)) {
                    tell(SideEffectKind::Index, format!("the index {index} of {name} is gone"));
                }
                for index in others.iter().filter(|index| !indexes.contains(index)) {
                    tell(SideEffectKind::Index, format!("the index {index} of {name} is new"));
                }
            }
        }
    }
    for (name, _) in now {
        let new = !before.iter().any(|(other, _)| other == name);
        if new && !is_servers_own(name, collection) {
            tell(SideEffectKind::Collection, format!("the collection {name} is new"));
        }
    }
    effects
}

/// The first few of each kind, and how many more there are.
fn shortened(effects: Vec<SideEffect>) -> Vec<SideEffect> {
    let mut short: Vec<SideEffect> = Vec::new();
    let mut more: Vec<(SideEffectKind, usize)> = Vec::new();
    for effect in effects {
        if short.iter().filter(|told| told.what == effect.what).count() < TOLD_MAX {
            short.push(effect);
        } else if let Some((_, count)) = more.iter_mut().find(|(what, _)| *what == effect.what) {
            *count += 1;
        } else {
            more.push((effect.what, 1));
        }
    }
    short.extend(more.into_iter().map(|(what, count)| SideEffect {
        what,
        detail: format!("and {count} more of this kind"),
    }));
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, indexes: &[&str]) -> (String, Vec<String>) {
        (name.to_owned(), indexes.iter().map(|index| (*index).to_owned()).collect())
    }

    #[test]
    fn indexes_and_collections_that_come_or_go_are_side_effects() {
        let before = [one("node4", &["uuid", "deleted"]), one("other", &[])];
        let now = [one("node4", &["uuid", "extra"]), one("focus_meta", &[]), one("x", &[])];
        let told: Vec<String> =
            shapes(&before, &now, "node4").into_iter().map(|effect| effect.detail).collect();
        assert_eq!(
            told,
            [
                "the index deleted of node4 is gone",
                "the index extra of node4 is new",
                "the collection other is gone",
                "the collection x is new",
            ]
        );
    }

    #[test]
    fn of_many_side_effects_the_first_are_told_and_the_rest_counted() {
        let effect = SideEffect { what: SideEffectKind::Document, detail: "gone".into() };
        let short = shortened(vec![effect; TOLD_MAX + 7]);
        assert_eq!(short.len(), TOLD_MAX + 1);
        assert_eq!(short[TOLD_MAX].detail, "and 7 more of this kind");
    }
}
