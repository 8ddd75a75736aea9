-- Marks of outboxes get a number each: with a key of text and bytes, moving one took as long as appending an event.

ALTER TABLE event_marks RENAME TO event_marks_before;

-- How far each outbox has been stored.
CREATE TABLE event_marks (
    id       INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    epoch    BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    UNIQUE (instance, epoch)
) STRICT;

INSERT INTO event_marks (instance, epoch, seq) SELECT instance, epoch, seq FROM event_marks_before;

DROP TABLE event_marks_before;
