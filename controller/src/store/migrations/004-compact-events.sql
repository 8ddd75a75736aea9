-- The event log with everything that many events share written once: a row takes some sixty bytes instead of some four
-- hundred, and appending touches the log's end alone.

-- Each outbox that events came from, and how far it is stored. Events that the controller made itself have an empty epoch.
CREATE TABLE event_outboxes (
    id       INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    epoch    BLOB NOT NULL,
    seq      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (instance, epoch)
) STRICT;

-- The containers that events are about. A container has another row when its name changes, and from time to time.
CREATE TABLE event_subjects (
    id        INTEGER PRIMARY KEY,
    born      INTEGER NOT NULL,                 -- about the id of its first event
    container TEXT NOT NULL,
    name      TEXT,                             -- none: the event itself has it (events of earlier schemas)
    image     TEXT
) STRICT;

ALTER TABLE events RENAME TO events_before;
DROP INDEX events_by_instance;

CREATE TABLE events (
    id      INTEGER PRIMARY KEY,                -- ascends with arrival
    outbox  INTEGER NOT NULL,
    seq     INTEGER,
    at      INTEGER NOT NULL,
    lag     INTEGER NOT NULL,                   -- when it was stored, in microseconds after `at`
    kind    INTEGER NOT NULL,
    subject INTEGER,
    what    BLOB NOT NULL,                      -- MessagePack: with a subject's name Told, else EventKind
    sum     INTEGER                             -- CRC-32 of all of it; none for events of earlier schemas
) STRICT;

-- Which events are of which outbox: filled in later, many at a time, since adding them one by one would touch as many
-- pages as there are agents with every commit. Newer events are looked through.
CREATE TABLE events_of (
    outbox INTEGER NOT NULL,
    event  INTEGER NOT NULL,
    PRIMARY KEY (outbox, event)
) STRICT, WITHOUT ROWID;

-- Up to where that is filled in.
CREATE TABLE event_index (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    upto INTEGER NOT NULL
) STRICT;

INSERT INTO event_outboxes (instance, epoch, seq) SELECT instance, epoch, seq FROM event_marks;
INSERT OR IGNORE INTO event_outboxes (instance, epoch) SELECT DISTINCT instance, coalesce(epoch, x'') FROM events_before;
INSERT INTO event_subjects (born, container)
    SELECT min(id), container FROM events_before WHERE container IS NOT NULL GROUP BY container;
INSERT INTO events (id, outbox, seq, at, lag, kind, subject, what)
    SELECT e.id, o.id, e.seq, e.at, e.received_at - e.at,
        CASE e.kind WHEN 'container' THEN 1 WHEN 'engine' THEN 2 WHEN 'engine_lost' THEN 3 WHEN 'engine_found' THEN 4
            WHEN 'agent_started' THEN 5 WHEN 'command_ended' THEN 6 WHEN 'refused' THEN 7 WHEN 'gap' THEN 8 ELSE 0 END,
        s.id, e.what
    FROM events_before AS e
    JOIN event_outboxes AS o ON o.instance = e.instance AND o.epoch = coalesce(e.epoch, x'')
    LEFT JOIN event_subjects AS s ON s.container = e.container
    ORDER BY e.id;
INSERT INTO events_of (outbox, event) SELECT outbox, id FROM events ORDER BY outbox, id;
INSERT INTO event_index (one, upto) SELECT 1, coalesce(max(id), 0) FROM events;

DROP TABLE events_before;
DROP TABLE event_marks;
