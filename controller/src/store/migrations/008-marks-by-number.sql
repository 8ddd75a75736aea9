-- Marks of outboxes get a number each: with a key of text and bytes, moving one took as long as appending an event.
-- And what an outbox's history comes to at its mark, as its agent says: two outboxes with one epoch are told apart by it.

ALTER TABLE event_marks RENAME TO event_marks_before;

-- How far each outbox has been stored.
CREATE TABLE event_marks (
    id       INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    epoch    BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    print    INTEGER,   -- none: the agent says none
    UNIQUE (instance, epoch)
) STRICT;

INSERT INTO event_marks (instance, epoch, seq) SELECT instance, epoch, seq FROM event_marks_before;

DROP TABLE event_marks_before;
