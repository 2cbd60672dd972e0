-- Version 1 of the ledger. Frozen: a change is a new numbered file, and a test opens a ledger made by this text.
--
-- Units are in the names: _s and _ns are seconds and nanoseconds since 1970-01-01T00:00:00Z, bytes are bytes. Cells lie
-- on whole seconds, so their bounds are _s: short keys, and no rounding in comparisons. All ranges are half-open.

-- One row for each channel that was ever archived. Rows stay when the channel's file is removed: its chunks do too.
CREATE TABLE channel (
    id INTEGER PRIMARY KEY,             -- stands for the name in the keys of the large tables, which stay short
    name TEXT NOT NULL UNIQUE,
    since_ns INTEGER,                   -- the archive answers for every instant from here on; NULL: not opened yet
    outlook TEXT,                       -- what the last check saw of the source, in check's own words
    outlook_ns INTEGER,                 -- when that was
    longest_cell_s INTEGER NOT NULL DEFAULT 0 CHECK (longest_cell_s >= 0)
                                        -- no cell of the channel is longer: bounds how far before a range one has to
                                        -- look for the cells that reach into it
) STRICT;

-- Every track that a channel ever had, with the track id that its chunks use. Rows are never deleted: an id is never
-- given twice.
CREATE TABLE track (
    channel_id INTEGER NOT NULL REFERENCES channel (id),
    id INTEGER NOT NULL CHECK (id BETWEEN 1 AND 4294967295),
    name TEXT NOT NULL,                 -- 'video=1000000'
    timescale INTEGER NOT NULL CHECK (timescale BETWEEN 1 AND 4294967295),  -- ticks per second
    medium TEXT NOT NULL CHECK (medium IN ('video', 'audio', 'text')),
    source_id TEXT NOT NULL,            -- the source's own name for it; from here down: as the source last said
    language TEXT,
    bandwidth_bps INTEGER CHECK (bandwidth_bps >= 0),
    codecs TEXT,                        -- RFC 6381
    width_px INTEGER CHECK (width_px >= 0),
    height_px INTEGER CHECK (height_px >= 0),
    first_seen_ns INTEGER NOT NULL,
    PRIMARY KEY (channel_id, id),
    UNIQUE (channel_id, name, timescale),  -- a track whose timescale changes is another track: chunks cannot be joined
    CHECK ((width_px IS NULL) = (height_px IS NULL))
) STRICT, WITHOUT ROWID;

-- One row for each attempt to capture a cell.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- people quote it, so it is never used twice
    channel_id INTEGER NOT NULL REFERENCES channel (id),
    start_s INTEGER NOT NULL,           -- the cell
    end_s INTEGER NOT NULL,
    engine TEXT NOT NULL,               -- 'native' or 'unified'
    outcome TEXT NOT NULL CHECK (outcome IN ('running', 'piece', 'complete', 'partial', 'failed', 'died')),
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL CHECK (pid >= 0),
    bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),        -- fetched from the source
    segments INTEGER NOT NULL DEFAULT 0 CHECK (segments >= 0),  -- fetched from the source
    retries INTEGER NOT NULL DEFAULT 0 CHECK (retries >= 0),    -- requests made again
    message TEXT,                       -- why it failed, or what a person should know
    CHECK (end_s > start_s),
    CHECK ((outcome = 'running') = (ended_ns IS NULL))
) STRICT;

CREATE INDEX job_of_channel ON job (channel_id, id);
-- Few jobs run, and the table grows for years.
CREATE INDEX job_running ON job (id) WHERE outcome = 'running';

-- The log of a job, in the parts in which it was written, so that adding a line does not rewrite what is there.
CREATE TABLE job_log (
    job_id INTEGER NOT NULL REFERENCES job (id),
    part INTEGER NOT NULL CHECK (part >= 1),  -- 1, 2, 3…; the first is not 1 where old parts were dropped
    text TEXT NOT NULL,
    PRIMARY KEY (job_id, part)
) STRICT, WITHOUT ROWID;

-- One row for each cell that was ever claimed or given up. The key is the order in which cells are read; two cells with
-- one start exist where chunk_duration was changed. No rowid: a range of cells is one run of pages.
CREATE TABLE chunk (
    channel_id INTEGER NOT NULL REFERENCES channel (id),
    start_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('capturing', 'complete', 'partial', 'failed', 'lost')),
    stored TEXT CHECK (stored IN ('complete', 'partial')),  -- what is in the store; NULL: nothing
    key TEXT,                           -- where it is in the store
    bytes INTEGER CHECK (bytes >= 0),
    sha256 BLOB CHECK (length(sha256) = 32),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),  -- that failed
    retry_at_ns INTEGER,                -- when the next attempt is due
    reason TEXT,                        -- why it is not complete
    job_id INTEGER REFERENCES job (id), -- the last that worked on it
    progress TEXT,                      -- what is durable in the spool, in capture's own words
    updated_ns INTEGER NOT NULL,
    PRIMARY KEY (channel_id, start_s, end_s),
    CHECK (end_s > start_s),
    CHECK ((stored IS NULL) = (key IS NULL)),
    CHECK ((stored IS NULL) = (bytes IS NULL)),
    CHECK ((stored IS NULL) = (sha256 IS NULL)),
    -- A complete object is there exactly where the state says so; a partial one also while more is tried for.
    CHECK ((state = 'complete') = (stored IS 'complete')),
    CHECK (state <> 'partial' OR stored IS 'partial'),
    CHECK (state <> 'lost' OR stored IS NULL),
    CHECK (state <> 'capturing' OR job_id IS NOT NULL),
    CHECK (retry_at_ns IS NULL OR state IN ('partial', 'failed')),
    CHECK (progress IS NULL OR state IN ('capturing', 'partial', 'failed'))
) STRICT, WITHOUT ROWID;

-- The fragment index of a stored chunk. A table of its own: reading a range of cells must not wade through blobs.
CREATE TABLE chunk_index (
    channel_id INTEGER NOT NULL,
    start_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    fragments BLOB NOT NULL,
    PRIMARY KEY (channel_id, start_s, end_s),
    FOREIGN KEY (channel_id, start_s, end_s) REFERENCES chunk (channel_id, start_s, end_s) ON DELETE CASCADE
) STRICT;

-- What a cell lacks: nothing is skipped silently. A gap may reach past the end of its cell, by the part of its last
-- segment that does.
CREATE TABLE gap (
    channel_id INTEGER NOT NULL,
    cell_start_s INTEGER NOT NULL,
    cell_end_s INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    track TEXT NOT NULL,                -- its name, not its id: a track may be missing before it was ever registered
    reason TEXT NOT NULL,
    recorded_ns INTEGER NOT NULL,       -- when it was first written down
    PRIMARY KEY (channel_id, cell_start_s, cell_end_s, start_ns, end_ns, track),
    FOREIGN KEY (channel_id, cell_start_s, cell_end_s)
        REFERENCES chunk (channel_id, start_s, end_s) ON DELETE CASCADE,
    CHECK (end_ns > start_ns)
) STRICT, WITHOUT ROWID;
