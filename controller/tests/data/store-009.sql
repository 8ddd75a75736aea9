-- A store as a controller with schema 009 left it. Never edited: what was released must open for ever.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO "api_tokens" VALUES(X'0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C','admin','ci',X'0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D','read','[]','[]',1760000000000000,NULL,NULL,NULL);
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
INSERT INTO "audit" VALUES(1,1760000000000006,'admin','127.0.0.1','sync','nas','ok',NULL,NULL,X'0000000000000000000000000000000000000000000000000000000000000000',X'59285A6A305E6498DDF3FA10A9F334A0BA0CE64523A86E6766625D0427992D61');
INSERT INTO "audit" VALUES(2,1760000000000007,'eve','192.0.2.7','login',NULL,'refused','wrong password',NULL,X'59285A6A305E6498DDF3FA10A9F334A0BA0CE64523A86E6766625D0427992D61',X'4B2BA0EA4C715ED133273B437646D4B0C33157948AC8686A49D5CBF6C28B9070');
INSERT INTO "audit" VALUES(3,1760000000000008,'admin',NULL,'instance.remove','old','ok',NULL,NULL,X'4B2BA0EA4C715ED133273B437646D4B0C33157948AC8686A49D5CBF6C28B9070',X'E2B9D8937CA2607DF907B8BF69AA9BE6E906683F55983A2E1D05DA6377A1C9EF');
CREATE TABLE audit_chain (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    base_id   INTEGER NOT NULL,
    base_hash BLOB NOT NULL,
    head_id   INTEGER NOT NULL,
    head_hash BLOB NOT NULL
) STRICT;
INSERT INTO "audit_chain" VALUES(1,0,X'0000000000000000000000000000000000000000000000000000000000000000',3,X'E2B9D8937CA2607DF907B8BF69AA9BE6E906683F55983A2E1D05DA6377A1C9EF');
CREATE TABLE command_lines (
    command BLOB NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
    line    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    entry   BLOB NOT NULL,                      -- MessagePack Progress
    PRIMARY KEY (command, line)
) STRICT, WITHOUT ROWID;
INSERT INTO "command_lines" VALUES(X'01999999000070008000000000000001',0,1760000000000007,X'84A870726F6772657373A36C6F67A673747265616DA56167656E74A773657276696365C0A474657874A56669727374');
INSERT INTO "command_lines" VALUES(X'01999999000070008000000000000001',1,1760000000000008,X'82A870726F6772657373A764726F70706564A5636F756E7403');
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
INSERT INTO "commands" VALUES(X'01999999000070008000000000000001','nas',X'85A4776F726BA473796E63A770726F6A656374A473686F70A8736572766963657390A87374726174656779C0AB7665726966795F736563733C','admin',1760000000000006,'succeeded',NULL,600,X'00000000000000000000000000000007',1760000000000006,1760000000000007,1760000000000008,0,X'83A76F7574636F6D65A9737563636565646564A773756D6D617279AB7570646174656420776562A8736572766963657390',NULL);
INSERT INTO "commands" VALUES(X'01999999000070008000000000000002','nas',X'82A4776F726BA5636865636BA770726F6A656374A473686F70','admin',1760000000000009,'sent',NULL,600,X'00000000000000000000000000000007',1760000000000009,NULL,NULL,1,NULL,NULL);
CREATE TABLE event_instances (
    id       INTEGER PRIMARY KEY,
    instance TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "event_instances" VALUES(1,'nas');
CREATE TABLE "event_marks" (
    id       INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    epoch    BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    print    INTEGER,   -- none: the agent says none
    UNIQUE (instance, epoch)
) STRICT;
INSERT INTO "event_marks" VALUES(1,'nas',X'00000000000000000000000000000009',2,NULL);
CREATE TABLE event_subjects (
    id        INTEGER PRIMARY KEY,
    last      INTEGER NOT NULL,                 -- no event with a higher id is about it; ascends with `id`
    container TEXT NOT NULL,                    -- full id
    name      TEXT,                             -- none: the event itself has it
    image     TEXT
) STRICT;
INSERT INTO "event_subjects" VALUES(1,0,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','web','web:1');
CREATE TABLE events (
    id          INTEGER PRIMARY KEY,            -- ascends with arrival
    instance    INTEGER NOT NULL,               -- its number
    epoch       BLOB,
    seq         INTEGER,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind        INTEGER NOT NULL,               -- its place in store/events/row.rs
    subject     INTEGER,
    what        BLOB NOT NULL                   -- MessagePack: Told where the subject has a name, else EventKind
) STRICT;
INSERT INTO "events" VALUES(1,1,X'00000000000000000000000000000009',1,1760000000000003,1760000000000004,5,NULL,X'82A46B696E64AD6167656E745F73746172746564A776657273696F6EA5302E312E30');
INSERT INTO "events" VALUES(2,1,X'00000000000000000000000000000009',2,1760000000000008,1760000000000009,6,NULL,X'83A46B696E64AD636F6D6D616E645F656E646564A7636F6D6D616E64C41001999999000070008000000000000001A76F7574636F6D6583A76F7574636F6D65A9737563636565646564A773756D6D617279AB7570646174656420776562A8736572766963657390');
CREATE TABLE events_of (
    instance INTEGER NOT NULL,
    event    INTEGER NOT NULL,
    PRIMARY KEY (instance, event)
) STRICT, WITHOUT ROWID;
INSERT INTO "events_of" VALUES(1,1);
CREATE TABLE identities (
    key         BLOB PRIMARY KEY,               -- PeerKey
    secret      TEXT NOT NULL,                  -- PEM
    certificate TEXT NOT NULL,                  -- PEM
    made_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "identities" VALUES(X'0101010101010101010101010101010101010101010101010101010101010101','a secret','a certificate',1760000000000000);
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
, next_key BLOB, key_since INTEGER, controller_keys BLOB, ceiling TEXT, declared INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "instances" VALUES('nas','Büro-NAS',NULL,'under the desk','production','["amd64"]',X'5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A',1760000000000000,1760000000000005,'0.1.0',X'81A5616C6C6F7792A476696577A473796E63','["compose"]',NULL,NULL,NULL,NULL,0);
INSERT INTO "instances" VALUES('vps','VPS','wss://vps.example:8082','',NULL,'[]',NULL,1760000000000001,NULL,NULL,NULL,'[]',NULL,NULL,NULL,NULL,0);
CREATE TABLE join_tokens (
    id          BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    instance    TEXT REFERENCES instances (id) ON DELETE CASCADE,
    direction   TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    uses_left   INTEGER NOT NULL,
    used_at     INTEGER
, name TEXT, tags TEXT NOT NULL DEFAULT '[]', environment TEXT, ceiling TEXT) STRICT, WITHOUT ROWID;
INSERT INTO "join_tokens" VALUES(X'00000000000000000000000000000004',X'C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3','vps','inbound',1760000000000001,1760086400000000,1,NULL,NULL,'[]',NULL,NULL);
CREATE TABLE lifecycle_mark (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    event INTEGER NOT NULL
) STRICT;
INSERT INTO "lifecycle_mark" VALUES(1,2);
CREATE TABLE lifecycles (
    instance TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    subject  TEXT NOT NULL,                     -- JSON Subject
    history  BLOB NOT NULL,                     -- MessagePack History
    PRIMARY KEY (instance, subject)
) STRICT, WITHOUT ROWID;
INSERT INTO "lifecycles" VALUES('nas','{"container":"web"}',X'80');
CREATE TABLE pictures (
    instance TEXT PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    taken_at INTEGER NOT NULL,
    picture  BLOB NOT NULL                      -- MessagePack
) STRICT;
INSERT INTO "pictures" VALUES('nas',1760000000000005,X'81A46E6F7465AB6F70617175652068657265');
CREATE TABLE recovery_codes (
    user      TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,                                       -- SHA-256
    PRIMARY KEY (user, code_hash)
) STRICT, WITHOUT ROWID;
INSERT INTO "recovery_codes" VALUES('admin',X'0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B');
CREATE TABLE removed_keys (
    key        BLOB PRIMARY KEY,
    removed_at INTEGER NOT NULL
, reason TEXT NOT NULL DEFAULT 'removed') STRICT, WITHOUT ROWID;
INSERT INTO "removed_keys" VALUES(X'A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5',1760000000000002,'removed');
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
INSERT INTO "rollout_steps" VALUES(X'01999999000070008000000000000005',0,'nas','Büro-NAS','shop','waiting',NULL,NULL);
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
INSERT INTO "rollouts" VALUES(X'01999999000070008000000000000005','admin',1760000000000006,2,1,NULL,NULL,60,NULL,NULL,NULL);
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "settings" VALUES('retention_days','30');
CREATE TABLE users (
    name          TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,                -- argon2id, PHC string
    role          TEXT NOT NULL,
    created_at    INTEGER NOT NULL
, tags TEXT NOT NULL DEFAULT '[]', disabled INTEGER NOT NULL DEFAULT 0, last_login INTEGER, totp_secret BLOB, totp_pending BLOB, totp_step INTEGER NOT NULL DEFAULT 0, issuer TEXT, subject TEXT, lapsed INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
INSERT INTO "users" VALUES('admin','$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$b3V0cHV0','admin',1760000000000000,'[]',0,NULL,NULL,NULL,0,NULL,NULL,0);
CREATE TABLE web_sessions (
    token_hash BLOB PRIMARY KEY,                -- SHA-256 of the cookie's token
    user       TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used  INTEGER NOT NULL
, address TEXT, client TEXT, ends_at INTEGER) STRICT, WITHOUT ROWID;
INSERT INTO "web_sessions" VALUES(X'0101010101010101010101010101010101010101010101010101010101010101','admin','admin',1760000000000000,1760086400000000,1760000000000005,NULL,NULL,NULL);
CREATE INDEX commands_by_instance ON commands (instance, id);
CREATE INDEX commands_unfinished ON commands (instance) WHERE ended_at IS NULL;
CREATE TRIGGER audit_only_grows BEFORE INSERT ON audit
WHEN NEW.id <= (SELECT head_id FROM audit_chain) OR NEW.previous <> (SELECT head_hash FROM audit_chain)
BEGIN SELECT RAISE(ABORT, 'the audit log only grows at its end'); END;
CREATE TRIGGER audit_head_follows AFTER INSERT ON audit
BEGIN UPDATE audit_chain SET head_id = NEW.id, head_hash = NEW.hash; END;
CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is never rewritten'); END;
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
CREATE UNIQUE INDEX instances_by_next_key ON instances (next_key) WHERE next_key IS NOT NULL;
CREATE INDEX rollouts_unfinished ON rollouts (id) WHERE ended_at IS NULL;
CREATE INDEX event_subjects_by_container ON event_subjects (container);
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject) WHERE issuer IS NOT NULL;
COMMIT;
PRAGMA user_version = 9;
