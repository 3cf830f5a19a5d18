-- up

-- Rooms are never removed, so that an offset is never given twice.
CREATE TABLE rooms (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  -- The last offset given out.
  head INTEGER NOT NULL,
  -- Nothing up to this offset can be read: the history before it was deleted.
  floor INTEGER NOT NULL,
  -- Rows up to this offset are gone; they go some time after they cannot be read any more.
  trimmed INTEGER NOT NULL,
  -- When there is next something to be removed; NULL where the room has no rows.
  due_ms INTEGER,
  history_messages INTEGER NOT NULL,
  history_seconds INTEGER NOT NULL,
  -- Counts the changes between a room with a past and one without: positions from before one mean nothing after it.
  life INTEGER NOT NULL,
  -- 0 once it was deleted, until it is used again.
  listed INTEGER NOT NULL CHECK (listed IN (0, 1))
) STRICT;

CREATE INDEX rooms_due ON rooms (due_ms) WHERE due_ms IS NOT NULL;

-- Offsets of a room have no hole between its trimmed and its head.
CREATE TABLE publications (
  room_key INTEGER NOT NULL REFERENCES rooms (key),
  offset INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  sender TEXT,
  -- JSON.
  data TEXT NOT NULL,
  PRIMARY KEY (room_key, offset)
) STRICT, WITHOUT ROWID;

-- What a repeated publication is known by, for some minutes.
CREATE TABLE publication_keys (
  room_key INTEGER NOT NULL REFERENCES rooms (key),
  key TEXT NOT NULL,
  offset INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (room_key, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX publication_keys_by_age ON publication_keys (at_ms);

-- down

DROP TABLE publication_keys;
DROP TABLE publications;
DROP TABLE rooms;
