-- People who sign in at a provider (OpenID Connect). They are known by the provider's name for them, never by ours.
ALTER TABLE users ADD COLUMN issuer TEXT;                          -- none: a user with a password
ALTER TABLE users ADD COLUMN subject TEXT;
ALTER TABLE users ADD COLUMN lapsed INTEGER NOT NULL DEFAULT 0;    -- kept out for want of a group, not by a person
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject) WHERE issuer IS NOT NULL;

ALTER TABLE web_sessions ADD COLUMN ends_at INTEGER;               -- ends then, however it is used
