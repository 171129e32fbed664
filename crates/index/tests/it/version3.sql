-- An index file as version 3 of the tables had it. Never changed: it is what such a program left.
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
ALTER TABLE recordings ADD COLUMN sum INTEGER;

-- What follows is what that program stored: a recording in every state, three to a folder.
PRAGMA user_version = 3;
INSERT INTO meta VALUES('clean', '1'), ('held_seq', '1');
INSERT INTO roots(id, marker, path, identity, remembered, owed, token, token_seen, sent_low, sent_high,
  complete_through_ms, generation_base)
  VALUES(1, 'root-1', '/data', 'db', 'w7', 0, 4, 5, 2, 4, 1700000000000, 3);
INSERT INTO folders(id, root, path, device, device_now) VALUES(1, 1, X'64', 7, 7);
INSERT INTO files(id, root, folder, stem, extension, data_size, data_mtime_ns, data_since_ms, data_closed,
  side_size, side_mtime_ns, side_since_ms, side_closed, settled, uuid, changed_ms)
  SELECT value, 1, 1, CAST('r' || value AS BLOB), 'dat', 10, 20, 30, 1, 40, 50, 60, 1, 1, 'u' || value, 70
  FROM json_each('[1, 2, 3, 4]');
INSERT INTO files(id, root, folder, stem)
  SELECT value, 1, 1, CAST('r' || value AS BLOB) FROM json_each('[5, 6, 7, 8, 9, 10]');
UPDATE files SET state = 'catalog_refused', reason = 'too big', faulty_since_ms = 9, report_seq = 1
  WHERE id = 4;
INSERT INTO recordings(id, root, uuid, file, start_ms, end_ms, span, deleted, recording_id, path, size,
  fingerprint, metadata, generation, acked, known, pending, pending_since_ms, retry_ms, vanished_ms,
  vanish_step, proof_ms, held_seq, held_why, marked_ms, approved, never_seen, drilled)
VALUES
-- acknowledged; pending; changed in flight; refused
(1, 1, 'u1', 1, 1000, 2000, 9, 0, 'r1', 'd/r1.dat', 10, 'f1', '{}', 1, 1, 1, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0),
(2, 1, 'u2', 2, 1000, 2000, 9, 0, 'r2', 'd/r2.dat', 10, 'f2', '{}', 1, NULL, 0, 1, 500, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0),
(3, 1, 'u3', 3, 1000, 2000, 9, 1, 'r3', 'd/r3.dat', 10, 'f3', '{}', 3, 2, 1, 1, 600, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0),
(4, 1, 'u4', 4, 1000, 2000, 9, 0, 'r4', 'd/r4.dat', 10, 'f4', '{}', 1, NULL, 0, 2, NULL, 900, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0),
-- gone: not proved, with what that program left of a time; proved once; held; marked; left alone; leaving
(5, 1, 'u5', 5, 1000, 2000, 9, 0, 'r5', 'd/r5.dat', 10, 'f5', '{}', 2, 0, 0, 0, 700, 900, 800, 0, NULL, NULL, NULL, NULL, 0, 0, 0),
(6, 1, 'u6', 6, 1000, 2000, 9, 0, 'r6', 'd/r6.dat', 10, 'f6', '{}', 1, 1, 1, 0, NULL, NULL, 800, 1, 850, NULL, NULL, NULL, 0, 1, 0),
(7, 1, 'u7', 7, 1000, 2000, 9, 0, 'r7', 'd/r7.dat', 10, 'f7', '{}', 1, 1, 1, 0, NULL, NULL, 800, 2, 850, 1, 'all', NULL, 0, 0, 0),
(8, 1, 'u8', 8, 1000, 2000, 9, 2, 'r8', 'd/r8.dat', 10, 'f8', '{}', 2, 1, 1, 1, 860, NULL, 800, 3, 850, NULL, NULL, 860, 0, 0, 0),
(9, 1, 'u9', 9, 1000, 2000, 9, 0, 'r9', 'd/r9.dat', 10, 'f9', '{}', 1, 1, 1, 0, NULL, NULL, 800, 4, 850, NULL, NULL, NULL, 0, 0, 0),
(10, 1, 'u10', 10, 1000, 2000, 9, 2, 'r10', 'd/r10.dat', 10, 'f10', '{"focus_drill":"d1"}', 4, 3, 1, 1, 860, NULL, 800, 5, 850, NULL, NULL, 860, 1, 0, 1);
