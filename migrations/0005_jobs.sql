-- up

-- Background work. A row is the only truth about a job: what runs it may end at any moment.
CREATE TABLE jobs (
  -- The order in which they came; lists go by it.
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  -- Name of the collection that it is about, as it was when the job came.
  collection TEXT,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  -- 2: before others, 1, 0: behind them.
  priority INTEGER NOT NULL CHECK (priority IN (0, 1, 2)),
  -- JSON of the kind's own: what is to be done, how far it is, what came of it.
  payload TEXT NOT NULL,
  checkpoint TEXT,
  result TEXT,
  -- Done so far of a total that may not be known, both in the unit.
  done INTEGER NOT NULL DEFAULT 0,
  total INTEGER,
  unit TEXT NOT NULL,
  -- Of what it was given, what could not be taken; job_errors has the first of them.
  errors INTEGER NOT NULL DEFAULT 0,
  -- Tries since the checkpoint last moved.
  attempts INTEGER NOT NULL DEFAULT 0,
  attempts_max INTEGER NOT NULL,
  -- Not before this time.
  next_at_ms INTEGER NOT NULL,
  -- 1: it runs, and somebody wants it to stop.
  cancelling INTEGER NOT NULL DEFAULT 0 CHECK (cancelling IN (0, 1)),
  -- Why the last try failed.
  error_code TEXT,
  error_detail TEXT,
  -- Of the request that it came from.
  request_id TEXT,
  traceparent TEXT,
  run_id TEXT REFERENCES ingest_runs (id),
  created_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER,
  finished_at_ms INTEGER
) STRICT;

CREATE INDEX jobs_due ON jobs (priority DESC, next_at_ms, number) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (number) WHERE state = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at_ms) WHERE finished_at_ms IS NOT NULL;
CREATE INDEX jobs_by_run ON jobs (run_id) WHERE run_id IS NOT NULL;

-- What a job could not take, in order: files, or lines of them.
CREATE TABLE job_errors (
  job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  source TEXT NOT NULL,
  line INTEGER,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (job_number, number)
) STRICT, WITHOUT ROWID;

-- Ingest jobs that belong together. A run without jobs is removed.
CREATE TABLE ingest_runs (
  id TEXT PRIMARY KEY,
  collection TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- down

DROP TABLE job_errors;
DROP TABLE jobs;
DROP TABLE ingest_runs;
