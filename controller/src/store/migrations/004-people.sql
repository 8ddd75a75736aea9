-- People beside the administrator: limits, second factors, API tokens, and where sessions come from.
ALTER TABLE users ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';      -- JSON array; empty: every instance
ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN last_login INTEGER;
ALTER TABLE users ADD COLUMN totp_secret BLOB;                     -- 20 bytes, once it is confirmed
ALTER TABLE users ADD COLUMN totp_pending BLOB;                    -- 20 bytes, until it is confirmed
ALTER TABLE users ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0; -- the step of the last code that was used

ALTER TABLE web_sessions ADD COLUMN address TEXT;                  -- the network it was begun from
ALTER TABLE web_sessions ADD COLUMN client TEXT;                   -- what the browser called itself

CREATE TABLE recovery_codes (
    user      TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,                                       -- SHA-256
    PRIMARY KEY (user, code_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_tokens (
    id           BLOB PRIMARY KEY,
    user         TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    secret_hash  BLOB NOT NULL UNIQUE,                             -- SHA-256
    scope        TEXT NOT NULL,                                    -- the role it may not exceed
    tags         TEXT NOT NULL,                                    -- JSON array
    instances    TEXT NOT NULL,                                    -- JSON array
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used    INTEGER,
    last_address TEXT,
    UNIQUE (user, name)
) STRICT, WITHOUT ROWID;
