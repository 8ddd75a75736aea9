-- A store as a controller with schema 003 left it. Never edited: what was released must open for ever.

-- Ids are 16-byte blobs (UUID) or text; times are microseconds since the epoch, UTC; documents are MessagePack
-- (named) blobs of protocol types, or JSON text where only the controller reads them.

CREATE TABLE instances (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL COLLATE NOCASE UNIQUE,
    url           TEXT UNIQUE,
    description   TEXT NOT NULL,
    environment   TEXT,
    tags          TEXT NOT NULL,                -- JSON array
    key           BLOB UNIQUE,                  -- PeerKey, 32 bytes
    created_at    INTEGER NOT NULL,
    last_seen     INTEGER,
    agent_version TEXT,
    policy        BLOB,                         -- MessagePack Policy
    abilities     TEXT NOT NULL DEFAULT '[]'    -- JSON array
) STRICT;

-- Keys of removed or revoked instances, so that they are refused by name.
CREATE TABLE removed_keys (
    key        BLOB PRIMARY KEY,
    removed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE join_tokens (
    id          BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    instance    TEXT REFERENCES instances (id) ON DELETE CASCADE,
    direction   TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    uses_left   INTEGER NOT NULL,
    used_at     INTEGER
) STRICT, WITHOUT ROWID;

-- The last known picture of each host, so that a restarted controller shows it (marked stale) instead of nothing.
CREATE TABLE pictures (
    instance TEXT PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    taken_at INTEGER NOT NULL,
    picture  BLOB NOT NULL                      -- MessagePack
) STRICT;

-- The event log. Its key ascends with arrival, whoever the events are from: a key clustered by instance costs 3 to
-- 10 times the throughput.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY,
    instance    TEXT NOT NULL,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    container   TEXT,                           -- full id, for events about one
    epoch       BLOB,
    seq         INTEGER,
    what        BLOB NOT NULL                   -- MessagePack EventKind
) STRICT;
CREATE INDEX events_by_instance ON events (instance, id);

-- How far each outbox has been stored.
CREATE TABLE event_marks (
    instance TEXT NOT NULL,
    epoch    BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (instance, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
    id               BLOB PRIMARY KEY,          -- UUIDv7: in order of issue
    instance         TEXT NOT NULL,
    work             BLOB NOT NULL,             -- MessagePack Work
    issued_by        TEXT NOT NULL,
    issued_at        INTEGER NOT NULL,
    state            TEXT NOT NULL,
    queue_until      INTEGER,
    deadline_secs    INTEGER NOT NULL,
    boot             BLOB,
    sent_at          INTEGER,
    started_at       INTEGER,
    ended_at         INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    outcome          BLOB,                      -- MessagePack Outcome
    reason           TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX commands_by_instance ON commands (instance, id);
CREATE INDEX commands_unfinished ON commands (instance) WHERE ended_at IS NULL;

CREATE TABLE command_lines (
    command BLOB NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
    line    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    entry   BLOB NOT NULL,                      -- MessagePack Progress
    PRIMARY KEY (command, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    name          TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,                -- argon2id, PHC string
    role          TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE web_sessions (
    token_hash BLOB PRIMARY KEY,                -- SHA-256 of the cookie's token
    user       TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    address  TEXT,
    what     TEXT NOT NULL,
    target   TEXT,
    result   TEXT NOT NULL,
    detail   TEXT,
    command  BLOB,                              -- id of the command it is about
    previous BLOB NOT NULL,                     -- hash of the entry before
    hash     BLOB NOT NULL                      -- SHA-256 over `previous` and all the other columns
) STRICT;

-- Where the chain begins and ends: the last entry that was removed for its age, and the newest one.
CREATE TABLE audit_chain (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    base_id   INTEGER NOT NULL,
    base_hash BLOB NOT NULL,
    head_id   INTEGER NOT NULL,
    head_hash BLOB NOT NULL
) STRICT;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the lifecycle of each container, and of what commands work on, is folded from: its newest facts. Saved every
-- few seconds; what came after is folded in again from the events after the mark.
CREATE TABLE lifecycles (
    instance TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    subject  TEXT NOT NULL,                     -- JSON Subject
    history  BLOB NOT NULL,                     -- MessagePack History
    PRIMARY KEY (instance, subject)
) STRICT, WITHOUT ROWID;

-- The id of the last event that is folded into the histories.
CREATE TABLE lifecycle_mark (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    event INTEGER NOT NULL
) STRICT;

PRAGMA user_version = 3;

INSERT INTO instances VALUES ('nas', 'Büro-NAS', NULL, 'under the desk', 'production', '["amd64"]', X'5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a', 1760000000000000, 1760000000000005, '0.1.0', X'81a5616c6c6f7792a476696577a473796e63', '["compose"]');
INSERT INTO instances VALUES ('vps', 'VPS', 'wss://vps.example:8082', '', NULL, '[]', NULL, 1760000000000001, NULL, NULL, NULL, '[]');
INSERT INTO removed_keys VALUES (X'a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5', 1760000000000002);
INSERT INTO join_tokens VALUES (X'00000000000000000000000000000004', X'c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3', 'vps', 'inbound', 1760000000000001, 1760086400000000, 1, NULL);
INSERT INTO pictures VALUES ('nas', 1760000000000005, X'81a46e6f7465ab6f70617175652068657265');
INSERT INTO events VALUES (1, 'nas', 1760000000000003, 1760000000000004, 'agent_started', NULL, X'00000000000000000000000000000009', 1, X'82a46b696e64ad6167656e745f73746172746564a776657273696f6ea5302e312e30');
INSERT INTO events VALUES (2, 'nas', 1760000000000008, 1760000000000009, 'command_ended', NULL, X'00000000000000000000000000000009', 2, X'83a46b696e64ad636f6d6d616e645f656e646564a7636f6d6d616e64c41001999999000070008000000000000001a76f7574636f6d6583a76f7574636f6d65a9737563636565646564a773756d6d617279ab7570646174656420776562a8736572766963657390');
INSERT INTO event_marks VALUES ('nas', X'00000000000000000000000000000009', 2);
INSERT INTO commands VALUES (X'01999999000070008000000000000001', 'nas', X'85a4776f726ba473796e63a770726f6a656374a473686f70a8736572766963657390a87374726174656779c0ab7665726966795f736563733c', 'admin', 1760000000000006, 'succeeded', NULL, 600, X'00000000000000000000000000000007', 1760000000000006, 1760000000000007, 1760000000000008, 0, X'83a76f7574636f6d65a9737563636565646564a773756d6d617279ab7570646174656420776562a8736572766963657390', NULL);
INSERT INTO commands VALUES (X'01999999000070008000000000000002', 'nas', X'82a4776f726ba5636865636ba770726f6a656374a473686f70', 'admin', 1760000000000009, 'sent', NULL, 600, X'00000000000000000000000000000007', 1760000000000009, NULL, NULL, 1, NULL, NULL);
INSERT INTO command_lines VALUES (X'01999999000070008000000000000001', 0, 1760000000000007, X'84a870726f6772657373a36c6f67a673747265616da56167656e74a773657276696365c0a474657874a56669727374');
INSERT INTO command_lines VALUES (X'01999999000070008000000000000001', 1, 1760000000000008, X'82a870726f6772657373a764726f70706564a5636f756e7403');
INSERT INTO users VALUES ('admin', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$b3V0cHV0', 'admin', 1760000000000000);
INSERT INTO web_sessions VALUES (X'0101010101010101010101010101010101010101010101010101010101010101', 'admin', 'admin', 1760000000000000, 1760086400000000, 1760000000000005);
INSERT INTO settings VALUES ('retention_days', '30');
INSERT INTO lifecycles VALUES ('nas', '{"container":"web"}', X'80');
INSERT INTO lifecycle_mark VALUES (1, 2);
INSERT INTO audit VALUES (1, 1760000000000006, 'admin', '127.0.0.1', 'sync', 'nas', 'ok', NULL, NULL, X'0000000000000000000000000000000000000000000000000000000000000000', X'59285a6a305e6498ddf3fa10a9f334a0ba0ce64523a86e6766625d0427992d61');
INSERT INTO audit VALUES (2, 1760000000000007, 'eve', '192.0.2.7', 'login', NULL, 'refused', 'wrong password', NULL, X'59285a6a305e6498ddf3fa10a9f334a0ba0ce64523a86e6766625d0427992d61', X'4b2ba0ea4c715ed133273b437646d4b0c33157948ac8686a49d5cbf6c28b9070');
INSERT INTO audit VALUES (3, 1760000000000008, 'admin', NULL, 'instance.remove', 'old', 'ok', NULL, NULL, X'4b2ba0ea4c715ed133273b437646d4b0c33157948ac8686a49d5cbf6c28b9070', X'e2b9d8937ca2607df907b8bf69aa9be6e906683f55983a2e1d05da6377a1c9ef');
INSERT INTO audit_chain VALUES (1, 0, zeroblob(32), 3, X'e2b9d8937ca2607df907b8bf69aa9be6e906683f55983a2e1d05da6377a1c9ef');

CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit
WHEN NEW.id <= (SELECT head_id FROM audit_chain) OR NEW.previous <> (SELECT head_hash FROM audit_chain)
BEGIN SELECT RAISE(ABORT, 'the audit log only grows at its end'); END;

CREATE TRIGGER audit_head_follows AFTER INSERT ON audit
BEGIN UPDATE audit_chain SET head_id = NEW.id, head_hash = NEW.hash; END;

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is never rewritten'); END;

-- What is too old goes after the beginning of the chain has moved past it, which retention writes down.
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
WHEN OLD.id > (SELECT base_id FROM audit_chain)
BEGIN SELECT RAISE(ABORT, 'the audit log is removed by retention alone'); END;

CREATE TRIGGER audit_chain_moves_on BEFORE UPDATE ON audit_chain
WHEN NEW.base_id < OLD.base_id OR NEW.head_id < OLD.head_id OR NEW.base_id > NEW.head_id
BEGIN SELECT RAISE(ABORT, 'the ends of the audit log only move on'); END;

CREATE TRIGGER audit_chain_stays BEFORE DELETE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'the ends of the audit log stay'); END;

CREATE TRIGGER audit_chain_is_one BEFORE INSERT ON audit_chain
BEGIN SELECT RAISE(ABORT, 'the audit log has two ends and no more'); END;
