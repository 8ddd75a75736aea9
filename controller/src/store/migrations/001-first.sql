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
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    address TEXT,
    what    TEXT NOT NULL,
    target  TEXT,
    result  TEXT NOT NULL,
    detail  TEXT
) STRICT;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
