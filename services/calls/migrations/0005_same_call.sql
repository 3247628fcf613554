-- Which of a call's values its source told, as a sum of the numbers in intake/told.ts; what it did not tell may be
-- completed. Null: stored by a version that did not note it, and known by its source_key alone.
ALTER TABLE calls.cdrs ADD COLUMN told integer;

ALTER TABLE calls.imports ADD COLUMN completed bigint NOT NULL DEFAULT 0;
ALTER TABLE calls.imports ADD COLUMN conflicts bigint NOT NULL DEFAULT 0;
-- Its calls may be known by what versions before knew them by. A process of such a version writes the default.
ALTER TABLE calls.imports ADD COLUMN known_before boolean NOT NULL DEFAULT true;
CREATE INDEX imports_by_source ON calls.imports (source);

-- Who stores calls of a source looks at this before and counts it up at the end: so it learns whether another did the
-- same meanwhile (intake/source_turn.ts).
CREATE TABLE calls.source_turns (
  source  text COLLATE "C" PRIMARY KEY,
  turn    bigint NOT NULL,
  -- whose the turns from `since` on are: none of another lies between them
  writer  text NOT NULL,
  since   bigint NOT NULL
);

-- A source that was called otherwise by versions before: files with a mapping had the mapping's name for their source.
CREATE TABLE calls.source_names (
  before text COLLATE "C" PRIMARY KEY,
  source text COLLATE "C" NOT NULL
);
INSERT INTO calls.source_names (before, source)
SELECT DISTINCT source, 'mapped' FROM calls.imports
WHERE format = 'mapped' AND source = options #>> '{mapping,name}' AND source <> 'mapped';
UPDATE calls.imports SET source = 'mapped' WHERE format = 'mapped' AND source = options #>> '{mapping,name}';
-- One source from now on: the others would count as silent, and hold up data_complete_to until they count as retired.
INSERT INTO calls.watermarks (source, last_disconnect, updated_at)
SELECT 'mapped', max(last_disconnect), max(updated_at) FROM calls.watermarks
WHERE source IN (SELECT before FROM calls.source_names) HAVING count(*) > 0
ON CONFLICT (source) DO UPDATE
SET last_disconnect = greatest(watermarks.last_disconnect, excluded.last_disconnect),
    updated_at = greatest(watermarks.updated_at, excluded.updated_at);
DELETE FROM calls.watermarks WHERE source IN (SELECT before FROM calls.source_names);

-- Versions of calls that another telling has replaced (--on-conflict replace).
CREATE TABLE calls.cdr_history (
  -- of the call as it is now
  i_cdr       bigint NOT NULL,
  replaced_at timestamptz NOT NULL DEFAULT now(),
  -- by which import
  i_import    integer,
  -- of the version before
  start_time  timestamptz NOT NULL,
  -- all of it, by the columns of calls.cdrs
  call        jsonb NOT NULL
);
CREATE INDEX cdr_history_by_call ON calls.cdr_history (i_cdr);
CREATE INDEX cdr_history_by_time ON calls.cdr_history (start_time);

-- Of a row that contradicts a stored call: which call, and what each of the two says.
ALTER TABLE calls.rejected_cdrs ADD COLUMN conflict jsonb;
