-- What an outbox's history comes to at its mark, as its agent says: two outboxes with one epoch are told apart by it.

ALTER TABLE event_marks ADD COLUMN print INTEGER;   -- none: the agent says none
