-- Version 2 of the ledger: what pruning, verifying and the unified engine write down. Frozen, as every version is.
--
-- Units and ranges as in version 1.

-- Every cell of the channel that ended by then was pruned, or is held: no check asks for it again. NULL: none was pruned.
ALTER TABLE channel ADD COLUMN pruned_s INTEGER;

-- When the stored object was last read back and found whole. NULL: not since it was stored.
ALTER TABLE chunk ADD COLUMN verified_ns INTEGER CHECK (verified_ns IS NULL OR stored IS NOT NULL);

-- What a job of the unified engine ran, without its secrets, and how that ended. NULL: by a signal, or not at all.
ALTER TABLE job ADD COLUMN command TEXT;
ALTER TABLE job ADD COLUMN exit_code INTEGER CHECK (exit_code IS NULL OR command IS NOT NULL);

-- What was never read back comes first, then what was read back longest ago.
CREATE INDEX chunk_verified ON chunk (channel_id, verified_ns, start_s, end_s) WHERE stored IS NOT NULL;
-- A job that is forgotten may not be one that a row names; without this, each would be looked for in all rows.
CREATE INDEX chunk_of_job ON chunk (job_id);

-- What is never pruned while it is held.
CREATE TABLE hold (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- people quote it, so it is never used twice
    channel_id INTEGER NOT NULL REFERENCES channel (id),
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    note TEXT,                          -- why, in a person's words
    until_ns INTEGER,                   -- it holds until then; NULL: until it is removed
    created_ns INTEGER NOT NULL,
    CHECK (end_ns > start_ns)
) STRICT;

CREATE INDEX hold_of_channel ON hold (channel_id);

-- Objects that are to be deleted, and of which no row speaks any more.
CREATE TABLE garbage (
    channel_id INTEGER NOT NULL REFERENCES channel (id),
    key TEXT NOT NULL,                  -- where it is in the store
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    reason TEXT NOT NULL,
    since_ns INTEGER NOT NULL,
    PRIMARY KEY (channel_id, key)
) STRICT, WITHOUT ROWID;
