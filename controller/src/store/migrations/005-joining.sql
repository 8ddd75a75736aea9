-- What an agent joined with, on what terms it is a member, and keys that are being replaced.

ALTER TABLE instances ADD COLUMN next_key BLOB;         -- PeerKey that its agent will show next
ALTER TABLE instances ADD COLUMN key_since INTEGER;     -- when the present key was first shown
ALTER TABLE instances ADD COLUMN controller_keys BLOB;  -- the controller's keys that its agent knows, newest first
ALTER TABLE instances ADD COLUMN ceiling TEXT;          -- verbs that may be asked of it at most; NULL for all
ALTER TABLE instances ADD COLUMN declared INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX instances_by_next_key ON instances (next_key) WHERE next_key IS NOT NULL;

ALTER TABLE join_tokens ADD COLUMN name TEXT;
ALTER TABLE join_tokens ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';  -- JSON array
ALTER TABLE join_tokens ADD COLUMN environment TEXT;
ALTER TABLE join_tokens ADD COLUMN ceiling TEXT;

-- `removed` with its instance, or `replaced` by a newer key of it.
ALTER TABLE removed_keys ADD COLUMN reason TEXT NOT NULL DEFAULT 'removed';

-- Who the controller is: its newest key, and the one that this replaces until every agent knows the newest. Here, so
-- that a backup of this file is a backup of the controller.
CREATE TABLE identities (
    key         BLOB PRIMARY KEY,               -- PeerKey
    secret      TEXT NOT NULL,                  -- PEM
    certificate TEXT NOT NULL,                  -- PEM
    made_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
