-- The audit log becomes a chain: each entry holds the hash of the one before it and its own. The entries there were
-- are chained by the program (store/audit/chained.rs), in this same transaction.

ALTER TABLE audit RENAME TO audit_unchained;

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

INSERT INTO audit_chain
SELECT 1, coalesce(min(id), 1) - 1, zeroblob(32), coalesce(min(id), 1) - 1, zeroblob(32) FROM audit_unchained;

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
