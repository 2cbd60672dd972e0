-- Version 3 of the ledger: what a server asks for again and again. Frozen, as every version is.

-- How often what is archived, missing or held of a channel has changed: who kept what was read at one count reads again only
-- at another. A table of its own, for the row of a channel is long; kept by triggers, so that no way of writing forgets it.
-- What changes all the time and shows nowhere is left out: how far a spool is, and when an object was read back.
CREATE TABLE change_count (
    channel_id INTEGER PRIMARY KEY REFERENCES channel (id),
    changes INTEGER NOT NULL DEFAULT 0 CHECK (changes >= 0)
) STRICT;

INSERT INTO change_count (channel_id) SELECT id FROM channel;

CREATE TRIGGER channel_counted AFTER INSERT ON channel BEGIN
    INSERT INTO change_count (channel_id) VALUES (NEW.id);
END;

CREATE TRIGGER chunk_comes AFTER INSERT ON chunk BEGIN
    UPDATE change_count SET changes = changes + 1 WHERE channel_id = NEW.channel_id;
END;

CREATE TRIGGER chunk_changes AFTER UPDATE OF state, stored, bytes, retry_at_ns, job_id ON chunk BEGIN
    UPDATE change_count SET changes = changes + 1 WHERE channel_id = NEW.channel_id;
END;

CREATE TRIGGER chunk_goes AFTER DELETE ON chunk BEGIN
    UPDATE change_count SET changes = changes + 1 WHERE channel_id = OLD.channel_id;
END;

CREATE TRIGGER gap_comes AFTER INSERT ON gap BEGIN
    UPDATE change_count SET changes = changes + 1 WHERE channel_id = NEW.channel_id;
END;

CREATE TRIGGER gap_goes AFTER DELETE ON gap BEGIN
    UPDATE change_count SET changes = changes + 1 WHERE channel_id = OLD.channel_id;
END;

CREATE TRIGGER hold_comes AFTER INSERT ON hold BEGIN
    UPDATE change_count SET changes = changes + 1 WHERE channel_id = NEW.channel_id;
END;

CREATE TRIGGER hold_goes AFTER DELETE ON hold BEGIN
    UPDATE change_count SET changes = changes + 1 WHERE channel_id = OLD.channel_id;
END;

-- The few that run, and the few that failed among millions, each in the order of their numbers.
CREATE INDEX job_of_outcome ON job (outcome, id);
DROP INDEX job_running;
