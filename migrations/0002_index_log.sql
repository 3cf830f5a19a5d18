-- up

-- How words are read (language, weights of the fields) and how vectors are kept in the graph.
ALTER TABLE collections ADD COLUMN keyword TEXT NOT NULL DEFAULT '{"language":"english","stop_words":true,"title_weight":1,"text_weight":1}';
ALTER TABLE collections ADD COLUMN quantization TEXT NOT NULL DEFAULT 'f16';
-- Last number given out in the collection's index log, and the number up to which that log was cut off.
ALTER TABLE collections ADD COLUMN index_sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN index_trimmed INTEGER NOT NULL DEFAULT 0;

-- What the indexes have to hear of, in order. Entries that are in sealed segments are cut off.
CREATE TABLE index_log (
  collection_key INTEGER NOT NULL REFERENCES collections (key) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  chunk_key INTEGER NOT NULL,
  -- 0: the chunk's text came, 1: its vector came, 2: it was removed.
  change INTEGER NOT NULL CHECK (change IN (0, 1, 2)),
  PRIMARY KEY (collection_key, sequence)
) STRICT, WITHOUT ROWID;

-- down

DROP TABLE index_log;
ALTER TABLE collections DROP COLUMN index_trimmed;
ALTER TABLE collections DROP COLUMN index_sequence;
ALTER TABLE collections DROP COLUMN quantization;
ALTER TABLE collections DROP COLUMN keyword;
