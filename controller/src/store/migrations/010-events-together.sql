-- Events that came in one message share a row: of a backlog that comes after an outage each row holds some sixty, which takes
-- a third of the time and less disk. A row's columns are of its last event; the earlier ones are in `earlier`, as
-- store/events/rows.rs writes them.
ALTER TABLE events ADD COLUMN more INTEGER NOT NULL DEFAULT 0;      -- how many; their ids are those before the row's
ALTER TABLE events ADD COLUMN earlier BLOB;
ALTER TABLE events_of ADD COLUMN more INTEGER NOT NULL DEFAULT 0;   -- as in events
