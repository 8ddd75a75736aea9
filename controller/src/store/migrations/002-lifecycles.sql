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
