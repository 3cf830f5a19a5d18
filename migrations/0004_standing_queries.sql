-- up

-- Sequence of the insert of the document's present life; 0 where that is not known any more, which is before all.
ALTER TABLE changes ADD COLUMN inserted INTEGER NOT NULL DEFAULT 0;
-- As inserted, but of the first version that was not replaced while it waited for its vectors: who waits for vectors never
-- heard of those before.
ALTER TABLE changes ADD COLUMN appeared INTEGER NOT NULL DEFAULT 0;
UPDATE changes SET inserted = sequence, appeared = sequence WHERE kind = 'insert';
-- A standing query reads what came after a number, in order, and other collections may have changed much since.
CREATE INDEX changes_by_collection ON changes (collection_key, sequence);

-- Standing queries that tell of documents that match no longer: what matched before has to be known.
CREATE TABLE standing_leaves (
  query TEXT PRIMARY KEY,
  collection_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
  -- The change number up to which the query's rows in standing_matches are right.
  -- -1 while they are being written for the first time.
  sequence INTEGER NOT NULL,
  -- What left the query's matches with a change up to this number is not known.
  known_from INTEGER NOT NULL,
  -- When it was last kept up; long after that it is forgotten.
  used_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX standing_leaves_by_collection ON standing_leaves (collection_key);

-- By document first: what changed is asked for the queries that it matched.
CREATE TABLE standing_matches (
  collection_key INTEGER NOT NULL,
  document_id TEXT NOT NULL,
  query TEXT NOT NULL REFERENCES standing_leaves (query) ON DELETE CASCADE,
  -- Of the change by which the document came in, or left.
  sequence INTEGER NOT NULL,
  -- 1: the document matches, 0: it did.
  inside INTEGER NOT NULL CHECK (inside IN (0, 1)),
  PRIMARY KEY (collection_key, document_id, query)
) STRICT, WITHOUT ROWID;

CREATE INDEX standing_matches_by_query ON standing_matches (query, inside, sequence);

-- Standing queries that are kept without a listener.
CREATE TABLE standing_queries (
  id TEXT PRIMARY KEY,
  collection_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
  -- JSON, as it was given.
  definition TEXT NOT NULL,
  -- The change number after which its matches begin.
  offset INTEGER NOT NULL,
  created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX standing_queries_by_collection ON standing_queries (collection_key);

-- Where the matches of such a query are sent.
CREATE TABLE webhooks (
  query_id TEXT PRIMARY KEY REFERENCES standing_queries (id) ON DELETE CASCADE,
  url TEXT NOT NULL,
  -- What requests are signed with.
  secret TEXT NOT NULL,
  -- The change number up to which the query's matches are in webhook_deliveries, or were.
  offset INTEGER NOT NULL,
  -- Matches that were taken there, and that were not in as many tries as there may be.
  delivered INTEGER NOT NULL DEFAULT 0,
  given_up INTEGER NOT NULL DEFAULT 0,
  -- When nothing more was to be sent there; NULL while it is.
  disabled_at_ms INTEGER,
  -- Why the last request failed; NULL after one that did not.
  error TEXT,
  error_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Matches that wait to be sent; what was taken is removed.
CREATE TABLE webhook_deliveries (
  -- In the order of the matches. Never given out twice.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  query_id TEXT NOT NULL REFERENCES webhooks (query_id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('match', 'lost')),
  -- JSON.
  body TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX webhook_deliveries_by_query ON webhook_deliveries (query_id, id);

-- down

DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
DROP TABLE standing_queries;
DROP TABLE standing_matches;
DROP TABLE standing_leaves;
DROP INDEX changes_by_collection;
ALTER TABLE changes DROP COLUMN appeared;
ALTER TABLE changes DROP COLUMN inserted;
