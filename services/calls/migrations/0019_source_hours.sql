-- What came from each switch, by hour: whether one is failing is seen here, and how long it usually says nothing.
CREATE TABLE calls.source_hours (
  source    text COLLATE "C" NOT NULL,
  hour      timestamptz NOT NULL,
  rows      bigint NOT NULL DEFAULT 0,
  -- of a file only those that no import had set aside before: a file may be read each hour
  set_aside bigint NOT NULL DEFAULT 0,
  -- posts with a key that is not valid, or may not post
  refused   bigint NOT NULL DEFAULT 0,
  -- the last rows: when they came, and from which file or route
  last_at   timestamptz,
  last_file text,
  PRIMARY KEY (source, hour)
);
