-- The event log with what many events share written once, so that an event takes some eighty bytes instead of some four
-- hundred, and with an index by instance that is filled in later, so that appending touches the log's end alone.
--
-- Copies every event: until the next checkpoint that takes two to three times the log's size of free disk. Their bytes
-- stay as they are (`what` with everything in it, subjects without a name).

-- Instances that events came from, by number. Never deleted: numbers are not used again.
CREATE TABLE event_instances (
    id       INTEGER PRIMARY KEY,
    instance TEXT NOT NULL UNIQUE
) STRICT;

-- Containers that events are about. One gets a further row when its name or image changes, and from time to time.
CREATE TABLE event_subjects (
    id        INTEGER PRIMARY KEY,
    last      INTEGER NOT NULL,                 -- no event with a higher id is about it; ascends with `id`
    container TEXT NOT NULL,                    -- full id
    name      TEXT,                             -- none: the event itself has it
    image     TEXT
) STRICT;

ALTER TABLE events RENAME TO events_before;
DROP INDEX events_by_instance;

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

-- Which events are an instance's, up to the last id that 32768 divides: adding them one by one would touch as many
-- pages as there are instances with every commit. Later ones are found by looking through.
CREATE TABLE events_of (
    instance INTEGER NOT NULL,
    event    INTEGER NOT NULL,
    PRIMARY KEY (instance, event)
) STRICT, WITHOUT ROWID;

INSERT INTO event_instances (instance)
    SELECT instance FROM event_marks UNION SELECT instance FROM events_before;
INSERT INTO event_subjects (last, container)
    SELECT max(id), container FROM events_before WHERE container IS NOT NULL GROUP BY container ORDER BY max(id);
CREATE INDEX event_subjects_by_container ON event_subjects (container);
INSERT INTO events (id, instance, epoch, seq, at, received_at, kind, subject, what)
    SELECT e.id, i.id, e.epoch, e.seq, e.at, e.received_at,
        CASE e.kind WHEN 'container' THEN 1 WHEN 'engine' THEN 2 WHEN 'engine_lost' THEN 3 WHEN 'engine_found' THEN 4
            WHEN 'agent_started' THEN 5 WHEN 'command_ended' THEN 6 WHEN 'refused' THEN 7 WHEN 'gap' THEN 8 ELSE 0 END,
        s.id, e.what
    FROM events_before AS e
    JOIN event_instances AS i ON i.instance = e.instance
    LEFT JOIN event_subjects AS s ON s.container = e.container
    ORDER BY e.id;
INSERT INTO events_of (instance, event)
    SELECT instance, id FROM events WHERE id <= (SELECT max(id) / 32768 * 32768 FROM events) ORDER BY instance, id;

DROP TABLE events_before;
