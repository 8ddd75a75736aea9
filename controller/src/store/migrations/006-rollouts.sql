-- Syncs of many hosts, and their steps in order. They outlive the instances that they were about.
CREATE TABLE rollouts (
    id              BLOB PRIMARY KEY,           -- UUIDv7: in order of issue
    issued_by       TEXT NOT NULL,
    issued_at       INTEGER NOT NULL,
    batch_size      INTEGER NOT NULL,
    stop_on_failure INTEGER NOT NULL,
    queue_secs      INTEGER,
    strategy        TEXT,
    verify_secs     INTEGER NOT NULL,
    failed_host     TEXT,                       -- stopped because this host failed
    stopped_by      TEXT,                       -- stopped by this person
    ended_at        INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX rollouts_unfinished ON rollouts (id) WHERE ended_at IS NULL;

CREATE TABLE rollout_steps (
    rollout  BLOB NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
    place    INTEGER NOT NULL,
    instance TEXT NOT NULL,
    name     TEXT NOT NULL,                     -- of the instance, as it was
    project  TEXT NOT NULL,
    state    TEXT NOT NULL,
    command  BLOB,
    reason   TEXT,
    PRIMARY KEY (rollout, place)
) STRICT, WITHOUT ROWID;
