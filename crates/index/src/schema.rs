//! The tables, and how an older file becomes the present one.

use focus_crash::{Point, Write, here};
use rusqlite::Connection;

/// The version this program writes.
pub(crate) const VERSION: i64 = 12;

/// `end_ms` of a live recording: it sorts after every end.
pub(crate) const LIVE_END_MS: i64 = i64::MAX;

/// The span class of a live recording.
pub(crate) const LIVE_SPAN: i64 = 63;

/// Migrations, the first of which makes version 1. A file of version n needs those from n on.
const MIGRATIONS: [&str; 12] = [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12];

/// Brings a database to the present version. Its own is given by `user_version`.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(0);
    for (at, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        here(Point::Uncommitted(Write::Migrate));
        transaction.commit()?;
        here(Point::Committed(Write::Migrate));
    }
    Ok(())
}

/// `files` has a row for every place; `recordings` one for every uuid, held by one place: its content, and
/// an entry of `focus_core::entry` in the columns from `generation` on. The numbers of `pending` and
/// `vanish_step` have their names in [`crate::stage`]; here, in statements that are never changed again,
/// they are:
///
/// | column | numbers |
/// |---|---|
/// | `pending` | 0 done, 1 pending, 2 refused until `retry_ms` |
/// | `vanish_step`, where `vanished_ms` is set | 0 unproved, 1 proved (at `proof_ms`), 2 held (`held_seq`, `held_why`), 3 marked (at `marked_ms`, `approved`), 4 left alone in an archive, 5 leaving (at `marked_ms`) |
/// | `acked` | the generation acknowledged last; 0 unsure: one was sent, and nothing is known of it; none: never |
/// | `deleted` | a bit of 1 where the sidecar says so, one of 2 where it is marked or leaving |
///
/// `known` tells that the catalog is believed to have a document. `sent_low` to `sent_high` are the entries
/// that it may have without having acknowledged them.
///
/// Times named `*_ms` of `since`, `due`, `changed` and `retry` are of the boot-time clock of the
/// process that wrote them, and mean nothing to the next one. Counters in `roots` are kept by
/// triggers, so a count never reads ten million rows.
const V1: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE roots(
  id INTEGER PRIMARY KEY,
  marker TEXT NOT NULL UNIQUE,
  path TEXT NOT NULL,
  identity TEXT, remembered TEXT, noted TEXT,
  owed INTEGER NOT NULL DEFAULT 1,
  token INTEGER NOT NULL DEFAULT 0,
  sent_low INTEGER, sent_high INTEGER,
  token_seen INTEGER NOT NULL DEFAULT 0,
  complete_through_ms INTEGER,
  recordings INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0,
  vanished INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0,
  marked INTEGER NOT NULL DEFAULT 0,
  unsettled INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE folders(
  id INTEGER PRIMARY KEY,
  root INTEGER NOT NULL,
  path BLOB NOT NULL,
  device INTEGER,
  device_now INTEGER,
  UNIQUE(root, path)
);

CREATE TABLE files(
  id INTEGER PRIMARY KEY,
  root INTEGER NOT NULL,
  folder INTEGER NOT NULL,
  stem BLOB NOT NULL,
  extension TEXT,
  data_size INTEGER, data_mtime_ns INTEGER, data_since_ms INTEGER, data_closed INTEGER,
  side_size INTEGER, side_mtime_ns INTEGER, side_since_ms INTEGER, side_closed INTEGER,
  settled INTEGER NOT NULL DEFAULT 0,
  uuid TEXT,
  live INTEGER NOT NULL DEFAULT 0,
  changed_ms INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER,
  state TEXT, reason TEXT, faulty_since_ms INTEGER,
  report_seq INTEGER NOT NULL DEFAULT 0,
  reported_seq INTEGER NOT NULL DEFAULT 0,
  UNIQUE(folder, stem)
);
CREATE INDEX files_due ON files(root, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX files_state ON files(state, id) WHERE state IS NOT NULL;
CREATE INDEX files_unreported ON files(root, id) WHERE report_seq <> reported_seq;
CREATE INDEX files_uuid ON files(uuid) WHERE uuid IS NOT NULL;

CREATE TABLE recordings(
  id INTEGER PRIMARY KEY,
  root INTEGER NOT NULL,
  uuid TEXT NOT NULL UNIQUE,
  file INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  span INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  recording_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  metadata TEXT NOT NULL,
  generation INTEGER NOT NULL,
  acked INTEGER,
  known INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL,
  pending_since_ms INTEGER,
  retry_ms INTEGER,
  vanished_ms INTEGER,
  vanish_step INTEGER NOT NULL DEFAULT 0,
  proof_ms INTEGER,
  held_seq INTEGER,
  held_why TEXT,
  marked_ms INTEGER,
  approved INTEGER NOT NULL DEFAULT 0,
  never_seen INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX recordings_file ON recordings(file);
CREATE INDEX recordings_time ON recordings(span, start_ms, end_ms, deleted);
CREATE INDEX recordings_pending ON recordings(root, id) WHERE pending = 1;
CREATE INDEX recordings_waiting ON recordings(pending_since_ms) WHERE pending = 1;
CREATE INDEX recordings_gone ON recordings(root, id) WHERE vanished_ms IS NOT NULL AND vanish_step < 2;
CREATE INDEX recordings_held ON recordings(root, held_seq) WHERE vanish_step = 2;
CREATE INDEX recordings_marked ON recordings(root, marked_ms) WHERE marked_ms IS NOT NULL;
CREATE INDEX recordings_aside ON recordings(root, retry_ms) WHERE pending = 2;

CREATE TRIGGER recordings_made AFTER INSERT ON recordings BEGIN
  UPDATE roots SET recordings = recordings + 1,
    pending = pending + (NEW.pending = 1),
    vanished = vanished + (NEW.vanished_ms IS NOT NULL),
    held = held + (NEW.vanish_step = 2), marked = marked + (NEW.vanish_step = 3)
    WHERE id = NEW.root;
END;
CREATE TRIGGER recordings_removed AFTER DELETE ON recordings BEGIN
  UPDATE roots SET recordings = recordings - 1,
    pending = pending - (OLD.pending = 1),
    vanished = vanished - (OLD.vanished_ms IS NOT NULL),
    held = held - (OLD.vanish_step = 2), marked = marked - (OLD.vanish_step = 3)
    WHERE id = OLD.root;
END;
CREATE TRIGGER recordings_changed AFTER UPDATE OF root, pending, vanished_ms, vanish_step ON recordings
WHEN OLD.root <> NEW.root OR (OLD.pending = 1) <> (NEW.pending = 1)
  OR (OLD.vanished_ms IS NULL) <> (NEW.vanished_ms IS NULL) OR OLD.vanish_step <> NEW.vanish_step
BEGIN
  UPDATE roots SET recordings = recordings - 1,
    pending = pending - (OLD.pending = 1),
    vanished = vanished - (OLD.vanished_ms IS NOT NULL),
    held = held - (OLD.vanish_step = 2), marked = marked - (OLD.vanish_step = 3)
    WHERE id = OLD.root;
  UPDATE roots SET recordings = recordings + 1,
    pending = pending + (NEW.pending = 1),
    vanished = vanished + (NEW.vanished_ms IS NOT NULL),
    held = held + (NEW.vanish_step = 2), marked = marked + (NEW.vanish_step = 3)
    WHERE id = NEW.root;
END;

CREATE TRIGGER files_made AFTER INSERT ON files
WHEN NEW.settled = 0 AND NEW.state IS NULL AND (NEW.data_size IS NOT NULL OR NEW.side_size IS NOT NULL)
BEGIN
  UPDATE roots SET unsettled = unsettled + 1 WHERE id = NEW.root;
END;
CREATE TRIGGER files_gone AFTER DELETE ON files
WHEN OLD.settled = 0 AND OLD.state IS NULL AND (OLD.data_size IS NOT NULL OR OLD.side_size IS NOT NULL)
BEGIN
  UPDATE roots SET unsettled = unsettled - 1 WHERE id = OLD.root;
END;
CREATE TRIGGER files_changed AFTER UPDATE OF settled, state, data_size, side_size ON files
WHEN (OLD.settled = 0 AND OLD.state IS NULL AND (OLD.data_size IS NOT NULL OR OLD.side_size IS NOT NULL))
  <> (NEW.settled = 0 AND NEW.state IS NULL AND (NEW.data_size IS NOT NULL OR NEW.side_size IS NOT NULL))
BEGIN
  UPDATE roots SET unsettled = unsettled
    + (NEW.settled = 0 AND NEW.state IS NULL AND (NEW.data_size IS NOT NULL OR NEW.side_size IS NOT NULL))
    - (OLD.settled = 0 AND OLD.state IS NULL AND (OLD.data_size IS NOT NULL OR OLD.side_size IS NOT NULL))
  WHERE id = NEW.root;
END;
";

/// Recordings of drills are told apart, and leave. `generation_base` is the highest generation of those
/// that have left: whatever is made later is above it, so that a removal which the database carries out
/// late cannot meet a recording that has come back.
const V2: &str = "
ALTER TABLE roots ADD COLUMN generation_base INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recordings ADD COLUMN drilled INTEGER NOT NULL DEFAULT 0;
UPDATE recordings SET drilled = 1
  WHERE json_valid(metadata) AND json_type(metadata, '$.focus_drill') IS NOT NULL;
UPDATE recordings SET vanish_step = 5, approved = 1, generation = generation + 1, pending = 1,
    pending_since_ms = marked_ms
  WHERE drilled AND vanish_step = 3;
UPDATE recordings SET vanish_step = 0, proof_ms = NULL, held_seq = NULL, held_why = NULL
  WHERE drilled AND vanish_step = 2;
CREATE INDEX recordings_drilled ON recordings(root) WHERE drilled = 1;
CREATE INDEX recordings_leaving ON recordings(root) WHERE vanish_step = 5;
";

/// The sum of a row's content; none where it is not known.
const V3: &str = "ALTER TABLE recordings ADD COLUMN sum INTEGER;";

/// Which file a sidecar was read from, the first bytes of the hash of what it held, and since when reading it
/// counts: 0 where it was read at such a time. Rows of an earlier version know none of it, and are read again.
const V4: &str = "
ALTER TABLE files ADD COLUMN side_inode INTEGER;
ALTER TABLE files ADD COLUMN side_ctime_ns INTEGER;
ALTER TABLE files ADD COLUMN side_sum INTEGER;
ALTER TABLE files ADD COLUMN side_counts_ms INTEGER;
";

/// Which mount each folder was seen on first, and found on by the last scan, and each recording that was seen on
/// another one than its folder, or last on another one than before. What a file of an earlier version knows is a device number: it stands for a
/// mount that is not met again, and the first whole scan finds where its recordings are. Unrecognised places are
/// counted by root and state, and what became pending first is found by root.
const V5: &str = "
CREATE TABLE mounts(
  id INTEGER PRIMARY KEY,
  root INTEGER NOT NULL,
  point BLOB NOT NULL,
  kind TEXT NOT NULL,
  within BLOB NOT NULL,
  file_system TEXT NOT NULL,
  UNIQUE(root, point, kind, within, file_system)
);
INSERT INTO mounts(root, point, kind, within, file_system)
  SELECT DISTINCT root, X'', 'device', X'', CAST(device AS TEXT) FROM folders WHERE device IS NOT NULL;
ALTER TABLE folders ADD COLUMN mount INTEGER;
ALTER TABLE folders ADD COLUMN mount_now INTEGER;
UPDATE folders SET mount = (SELECT m.id FROM mounts m
    WHERE m.root = folders.root AND m.file_system = CAST(folders.device AS TEXT)),
  mount_now = (SELECT m.id FROM mounts m
    WHERE m.root = folders.root AND m.file_system = CAST(folders.device AS TEXT));
ALTER TABLE folders DROP COLUMN device;
ALTER TABLE folders DROP COLUMN device_now;
ALTER TABLE recordings ADD COLUMN mount INTEGER;
ALTER TABLE recordings ADD COLUMN mount_last INTEGER;
CREATE INDEX recordings_mount ON recordings(root, mount) WHERE mount IS NOT NULL;
CREATE INDEX recordings_mount_last ON recordings(root, mount_last) WHERE mount_last IS NOT NULL;

DROP INDEX recordings_waiting;
CREATE INDEX recordings_waiting ON recordings(root, pending_since_ms) WHERE pending = 1;
CREATE TABLE unrecognised(
  root INTEGER NOT NULL,
  state TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY(root, state)
) WITHOUT ROWID;
INSERT INTO unrecognised SELECT root, state, count(*) FROM files WHERE state IS NOT NULL GROUP BY root, state;
CREATE TRIGGER files_reported AFTER INSERT ON files WHEN NEW.state IS NOT NULL BEGIN
  INSERT INTO unrecognised VALUES(NEW.root, NEW.state, 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER files_report_removed AFTER DELETE ON files WHEN OLD.state IS NOT NULL BEGIN
  UPDATE unrecognised SET count = count - 1 WHERE root = OLD.root AND state = OLD.state;
END;
CREATE TRIGGER files_report_changed AFTER UPDATE OF state ON files WHEN OLD.state IS NOT NEW.state BEGIN
  UPDATE unrecognised SET count = count - 1 WHERE root = OLD.root AND state = OLD.state;
  INSERT INTO unrecognised SELECT NEW.root, NEW.state, 1 WHERE NEW.state IS NOT NULL
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
";

/// What recordings cover, by root and day, and the spans of hours that are covered in part: see
/// [`crate::coverage`], which fills them from the rows that are there.
const V6: &str = "
CREATE TABLE covered_days(
  root INTEGER NOT NULL,
  day INTEGER NOT NULL,
  covered_ms INTEGER NOT NULL,
  begins INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  cells BLOB NOT NULL,
  PRIMARY KEY(root, day)
) WITHOUT ROWID;
CREATE TABLE covered_hours(
  root INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  spans BLOB NOT NULL,
  PRIMARY KEY(root, hour)
) WITHOUT ROWID;
";

/// When the index learned of a recording first, and when the catalog acknowledged it last, milliseconds since
/// 1970. Of recordings of an earlier version nobody knows it.
const V7: &str = "
ALTER TABLE recordings ADD COLUMN first_seen_ms INTEGER;
ALTER TABLE recordings ADD COLUMN acknowledged_ms INTEGER;
";

/// Recordings by the values of indexed keys of their metadata: see [`crate::metadata`], where the numbers of
/// `metadata_keys` have their names. Here they are:
///
/// | column | numbers |
/// |---|---|
/// | `state` | 0 being indexed, 1 ready, 2 leaving, 3 leaving and then indexed anew |
/// | `lanes` | 0 none, 1 kept, 2 being dropped |
///
/// `through` is the row up to which the present work has come, `swept` the lane. `entries` of a value are all recordings with it,
/// `there` those of them that are not deleted. Numbers of values are never given again: they are numbers of lanes.
///
/// `recordings_time` has the root, too: how many of each begin in a window is counted without a row.
const V8: &str = "
ALTER TABLE covered_days RENAME COLUMN root TO lane;
ALTER TABLE covered_hours RENAME COLUMN root TO lane;
CREATE TABLE metadata_keys(
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  through INTEGER NOT NULL DEFAULT 0,
  done INTEGER NOT NULL DEFAULT 0,
  lanes INTEGER NOT NULL DEFAULT 1,
  swept INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE metadata_values(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key INTEGER NOT NULL,
  value TEXT NOT NULL,
  root INTEGER NOT NULL,
  entries INTEGER NOT NULL DEFAULT 0,
  there INTEGER NOT NULL DEFAULT 0,
  UNIQUE(key, value, root)
);
CREATE INDEX metadata_values_there ON metadata_values(key, value, root) WHERE there > 0;
CREATE TABLE metadata_entries(
  recording INTEGER NOT NULL,
  key INTEGER NOT NULL,
  value INTEGER NOT NULL,
  span INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  PRIMARY KEY(recording, key)
) WITHOUT ROWID;
CREATE INDEX metadata_entries_time ON metadata_entries(value, span, start_ms, recording, end_ms, deleted);
DROP INDEX recordings_time;
CREATE INDEX recordings_time ON recordings(span, start_ms, end_ms, deleted, root);
";

/// `holds`: the place holds the recording of the uuid that its sidecar names. Such a place is found by the
/// recording, so only the others are in an index: a usual place costs no page of one. [`crate::place`] stores it with
/// the uuid; the triggers keep it where a recording comes, goes or moves.
const V9: &str = "
ALTER TABLE files ADD COLUMN holds INTEGER NOT NULL DEFAULT 0;
UPDATE files SET holds = 1 WHERE uuid IS NOT NULL
  AND EXISTS(SELECT 1 FROM recordings r WHERE r.file = files.id AND r.uuid = files.uuid);
DROP INDEX files_uuid;
CREATE INDEX files_claims ON files(uuid) WHERE uuid IS NOT NULL AND holds = 0;
CREATE TRIGGER holds_made AFTER INSERT ON recordings BEGIN
  UPDATE files SET holds = 1 WHERE id = NEW.file AND uuid = NEW.uuid AND holds = 0;
END;
CREATE TRIGGER holds_removed AFTER DELETE ON recordings BEGIN
  UPDATE files SET holds = 0 WHERE id = OLD.file AND uuid = OLD.uuid;
END;
CREATE TRIGGER holds_moved AFTER UPDATE OF file ON recordings WHEN OLD.file <> NEW.file BEGIN
  UPDATE files SET holds = 0 WHERE id = OLD.file AND uuid = OLD.uuid;
  UPDATE files SET holds = 1 WHERE id = NEW.file AND uuid = NEW.uuid AND holds = 0;
END;
";

/// Which recordings have which three bytes in path or uuid: see [`crate::text`], which fills it behind the writes.
/// `through` is the row up to which that has come. What was indexed before it changed is noted, and read until it is
/// indexed again. `first_ms` and `last_ms` are the first and the last start of a chunk, and `has_long` tells that it has
/// recordings whose texts are too long to be indexed.
const V10: &str = "
CREATE TABLE text_index(through INTEGER NOT NULL);
INSERT INTO text_index VALUES(0);
CREATE TABLE text_chunks(
  chunk INTEGER PRIMARY KEY,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  has_long INTEGER NOT NULL
);
CREATE TABLE text_postings(
  chunk INTEGER NOT NULL,
  trigram INTEGER NOT NULL,
  rows BLOB NOT NULL,
  PRIMARY KEY(chunk, trigram)
) WITHOUT ROWID;
CREATE TABLE text_changed(recording INTEGER PRIMARY KEY);
CREATE TRIGGER text_made AFTER INSERT ON recordings WHEN NEW.id <= (SELECT through FROM text_index) BEGIN
  INSERT INTO text_changed VALUES(NEW.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER text_removed AFTER DELETE ON recordings WHEN OLD.id <= (SELECT through FROM text_index) BEGIN
  INSERT INTO text_changed VALUES(OLD.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER text_updated AFTER UPDATE OF uuid, path, start_ms ON recordings
WHEN (OLD.path <> NEW.path OR OLD.start_ms <> NEW.start_ms OR OLD.uuid <> NEW.uuid)
  AND NEW.id <= (SELECT through FROM text_index)
BEGIN
  INSERT INTO text_changed VALUES(NEW.id) ON CONFLICT DO NOTHING;
END;
";

/// Recordings by uuid are in two tables, see [`crate::uuids`], and no longer in an index of `recordings`: that needs the
/// table to be made anew.
const V11: &str = "
CREATE TABLE uuids(uuid TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE uuids_new(uuid TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO uuids SELECT uuid, id FROM recordings ORDER BY uuid;
CREATE TABLE recordings_next(
  id INTEGER PRIMARY KEY,
  root INTEGER NOT NULL,
  uuid TEXT NOT NULL,
  file INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  span INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  recording_id TEXT NOT NULL,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  metadata TEXT NOT NULL,
  generation INTEGER NOT NULL,
  acked INTEGER,
  known INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL,
  pending_since_ms INTEGER,
  retry_ms INTEGER,
  vanished_ms INTEGER,
  vanish_step INTEGER NOT NULL DEFAULT 0,
  proof_ms INTEGER,
  held_seq INTEGER,
  held_why TEXT,
  marked_ms INTEGER,
  approved INTEGER NOT NULL DEFAULT 0,
  never_seen INTEGER NOT NULL DEFAULT 0,
  drilled INTEGER NOT NULL DEFAULT 0,
  sum INTEGER,
  mount INTEGER,
  mount_last INTEGER,
  first_seen_ms INTEGER,
  acknowledged_ms INTEGER
);
INSERT INTO recordings_next
  SELECT id, root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size, fingerprint, metadata,
    generation, acked, known, pending, pending_since_ms, retry_ms, vanished_ms, vanish_step, proof_ms, held_seq,
    held_why, marked_ms, approved, never_seen, drilled, sum, mount, mount_last, first_seen_ms, acknowledged_ms
  FROM recordings ORDER BY id;
DROP TABLE recordings;
ALTER TABLE recordings_next RENAME TO recordings;
CREATE INDEX recordings_file ON recordings(file);
CREATE INDEX recordings_time ON recordings(span, start_ms, end_ms, deleted, root);
CREATE INDEX recordings_pending ON recordings(root, id) WHERE pending = 1;
CREATE INDEX recordings_waiting ON recordings(root, pending_since_ms) WHERE pending = 1;
CREATE INDEX recordings_gone ON recordings(root, id) WHERE vanished_ms IS NOT NULL AND vanish_step < 2;
CREATE INDEX recordings_held ON recordings(root, held_seq) WHERE vanish_step = 2;
CREATE INDEX recordings_marked ON recordings(root, marked_ms) WHERE marked_ms IS NOT NULL;
CREATE INDEX recordings_aside ON recordings(root, retry_ms) WHERE pending = 2;
CREATE INDEX recordings_drilled ON recordings(root) WHERE drilled = 1;
CREATE INDEX recordings_leaving ON recordings(root) WHERE vanish_step = 5;
CREATE INDEX recordings_mount ON recordings(root, mount) WHERE mount IS NOT NULL;
CREATE INDEX recordings_mount_last ON recordings(root, mount_last) WHERE mount_last IS NOT NULL;
CREATE TRIGGER recordings_made AFTER INSERT ON recordings BEGIN
  SELECT RAISE(ROLLBACK, 'a uuid is indexed twice') FROM uuids WHERE uuid = NEW.uuid;
  INSERT INTO uuids_new VALUES(NEW.uuid, NEW.id);
  UPDATE roots SET recordings = recordings + 1,
    pending = pending + (NEW.pending = 1),
    vanished = vanished + (NEW.vanished_ms IS NOT NULL),
    held = held + (NEW.vanish_step = 2), marked = marked + (NEW.vanish_step = 3)
    WHERE id = NEW.root;
END;
CREATE TRIGGER recordings_removed AFTER DELETE ON recordings BEGIN
  DELETE FROM uuids_new WHERE uuid = OLD.uuid AND id = OLD.id;
  DELETE FROM uuids WHERE uuid = OLD.uuid AND id = OLD.id;
  UPDATE roots SET recordings = recordings - 1,
    pending = pending - (OLD.pending = 1),
    vanished = vanished - (OLD.vanished_ms IS NOT NULL),
    held = held - (OLD.vanish_step = 2), marked = marked - (OLD.vanish_step = 3)
    WHERE id = OLD.root;
END;
CREATE TRIGGER recordings_changed AFTER UPDATE OF root, pending, vanished_ms, vanish_step ON recordings
WHEN OLD.root <> NEW.root OR (OLD.pending = 1) <> (NEW.pending = 1)
  OR (OLD.vanished_ms IS NULL) <> (NEW.vanished_ms IS NULL) OR OLD.vanish_step <> NEW.vanish_step
BEGIN
  UPDATE roots SET recordings = recordings - 1,
    pending = pending - (OLD.pending = 1),
    vanished = vanished - (OLD.vanished_ms IS NOT NULL),
    held = held - (OLD.vanish_step = 2), marked = marked - (OLD.vanish_step = 3)
    WHERE id = OLD.root;
  UPDATE roots SET recordings = recordings + 1,
    pending = pending + (NEW.pending = 1),
    vanished = vanished + (NEW.vanished_ms IS NOT NULL),
    held = held + (NEW.vanish_step = 2), marked = marked + (NEW.vanish_step = 3)
    WHERE id = NEW.root;
END;
CREATE TRIGGER holds_made AFTER INSERT ON recordings BEGIN
  UPDATE files SET holds = 1 WHERE id = NEW.file AND uuid = NEW.uuid AND holds = 0;
END;
CREATE TRIGGER holds_removed AFTER DELETE ON recordings BEGIN
  UPDATE files SET holds = 0 WHERE id = OLD.file AND uuid = OLD.uuid;
END;
CREATE TRIGGER holds_moved AFTER UPDATE OF file ON recordings WHEN OLD.file <> NEW.file BEGIN
  UPDATE files SET holds = 0 WHERE id = OLD.file AND uuid = OLD.uuid;
  UPDATE files SET holds = 1 WHERE id = NEW.file AND uuid = NEW.uuid AND holds = 0;
END;
CREATE TRIGGER text_made AFTER INSERT ON recordings WHEN NEW.id <= (SELECT through FROM text_index) BEGIN
  INSERT INTO text_changed VALUES(NEW.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER text_removed AFTER DELETE ON recordings WHEN OLD.id <= (SELECT through FROM text_index) BEGIN
  INSERT INTO text_changed VALUES(OLD.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER text_updated AFTER UPDATE OF uuid, path, start_ms ON recordings
WHEN (OLD.path <> NEW.path OR OLD.start_ms <> NEW.start_ms OR OLD.uuid <> NEW.uuid)
  AND NEW.id <= (SELECT through FROM text_index)
BEGIN
  INSERT INTO text_changed VALUES(NEW.id) ON CONFLICT DO NOTHING;
END;
";

/// What the sidecars of a root meant when they were read, and every extension that its files have had, a line
/// each: see [`crate::form`]. Of a root of an earlier version nobody knows it.
const V12: &str = "
ALTER TABLE roots ADD COLUMN meaning TEXT;
ALTER TABLE roots ADD COLUMN extensions TEXT;
";

/// The span class of a recording: the binary logarithm of its length in milliseconds.
///
/// A recording of class c is shorter than `2^(c+1)` ms, so one that overlaps a window starts less
/// than that before the window: a short range of the time index for every class.
pub(crate) fn span(start_ms: i64, end_ms: Option<i64>) -> i64 {
    match end_ms {
        None => LIVE_SPAN,
        Some(end_ms) => {
            let length = end_ms.saturating_sub(start_ms).max(0).unsigned_abs().saturating_add(1);
            i64::from(length.ilog2())
        }
    }
}
