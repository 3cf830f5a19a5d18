-- up

-- Facts about this database: its epoch (a random id of its life) and the last change number given out.
CREATE TABLE facts (
  name TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE collections (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  -- NULL once dropped: the name is free at once while the rows are removed in slices.
  name TEXT UNIQUE,
  model TEXT NOT NULL,
  -- Of the model's weights: vectors of other weights are never compared with these. NULL where vectors are the caller's.
  model_sha256 TEXT,
  dimensions INTEGER NOT NULL CHECK (dimensions > 0),
  metric TEXT NOT NULL,
  chunking TEXT NOT NULL,
  fusion TEXT NOT NULL,
  -- Kept in step by every commit: counting rows would cost more with every document.
  documents INTEGER NOT NULL DEFAULT 0,
  chunks INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE aliases (
  name TEXT PRIMARY KEY,
  collection_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX aliases_by_collection ON aliases (collection_key);

CREATE TABLE documents (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  collection_key INTEGER NOT NULL REFERENCES collections (key),
  id TEXT NOT NULL,
  title TEXT,
  metadata TEXT NOT NULL,
  -- sha256 over title, text and the caller's vector: an update that changes only metadata keeps chunks and vectors.
  content_sha256 BLOB NOT NULL,
  sequence INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  UNIQUE (collection_key, id)
) STRICT;

-- A chunk is a span of its document's text, "start" and "end" counted in UTF-16 code units. The text is kept here only:
-- a search reads the chunks it shows and never a whole book, and the document is put together from its chunks.
-- Keys are never used twice, so a late vector cannot reach another chunk.
CREATE TABLE chunks (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  document_key INTEGER NOT NULL REFERENCES documents (key) ON DELETE CASCADE,
  collection_key INTEGER NOT NULL REFERENCES collections (key),
  position INTEGER NOT NULL,
  start INTEGER NOT NULL,
  "end" INTEGER NOT NULL,
  heading TEXT,
  text TEXT,
  -- 0: no vector yet, 1: has its vector, 2: the model finds nothing in it.
  state INTEGER NOT NULL CHECK (state IN (0, 1, 2))
) STRICT;

CREATE INDEX chunks_by_document ON chunks (document_key);
CREATE INDEX chunks_by_collection ON chunks (collection_key);
-- Both hold only the chunks that wait: one finds the oldest of all, the other counts a collection's.
CREATE INDEX chunks_pending ON chunks (state) WHERE state = 0;
CREATE INDEX chunks_pending_by_collection ON chunks (collection_key) WHERE state = 0;

-- float32, little endian, L2-normalised.
CREATE TABLE vectors (
  chunk_key INTEGER PRIMARY KEY REFERENCES chunks (key) ON DELETE CASCADE,
  vector BLOB NOT NULL
) STRICT;

-- The last change of each document, deleted ones included: a reader that knows a number asks for what came after it.
CREATE TABLE changes (
  sequence INTEGER PRIMARY KEY,
  collection_key INTEGER NOT NULL REFERENCES collections (key),
  document_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('insert', 'update', 'delete')),
  UNIQUE (collection_key, document_id)
) STRICT;

-- Answers by Idempotency-Key, so that a repeated request gets the first one's.
CREATE TABLE idempotency (
  key TEXT PRIMARY KEY,
  request_sha256 TEXT NOT NULL,
  answer TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (created_at_ms);

-- down

DROP TABLE idempotency;
DROP TABLE changes;
DROP TABLE vectors;
DROP TABLE chunks;
DROP TABLE documents;
DROP TABLE aliases;
DROP TABLE collections;
DROP TABLE facts;
