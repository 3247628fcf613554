-- Rows of which the source ended before their line did: what became of them goes, once the source has grown there
-- (intake/provisional.ts).
CREATE TABLE calls.provisional_rows (
  -- of all that the source held when it was read (intake/source_end.ts)
  fingerprint  bytea NOT NULL,
  source_bytes bigint NOT NULL,
  head         bytea NOT NULL,
  source       text COLLATE "C" NOT NULL,
  row_offset   bigint NOT NULL,
  row_hash     bytea NOT NULL,
  i_cdr        bigint,
  -- the call as it was before the row filled or replaced what it told; null where the row made it
  before       jsonb,
  i_rejected   bigint REFERENCES calls.rejected_cdrs ON DELETE CASCADE,
  created_at   timestamptz NOT NULL DEFAULT now(),
  CHECK ((i_cdr IS NULL) <> (i_rejected IS NULL))
);
CREATE INDEX provisional_rows_by_source ON calls.provisional_rows (source, fingerprint);
CREATE UNIQUE INDEX provisional_rows_by_rejected ON calls.provisional_rows (i_rejected) WHERE i_rejected IS NOT NULL;

-- A row that was set aside is known by what it says, not by where it stood: files are rotated, pipes have no lines.
ALTER TABLE calls.rejected_cdrs ADD COLUMN source text COLLATE "C";
ALTER TABLE calls.rejected_cdrs ADD COLUMN content bytea;
-- Only its first bytes are kept: it is never read again.
ALTER TABLE calls.rejected_cdrs ADD COLUMN cut boolean NOT NULL DEFAULT false;
UPDATE calls.rejected_cdrs SET cut = true WHERE code = 'too_large' OR reason LIKE '% bytes the first % are kept';
-- As contentOf (intake/set_aside.ts) makes it.
UPDATE calls.rejected_cdrs r
SET source = i.source, content = sha256(
  convert_to(i.source || E'\x1f' || coalesce(array_to_string(r.columns, E'\x1f', ''), '') || E'\x1f', 'UTF8') || r.bytes
  || CASE WHEN r.cut THEN convert_to(r.reason, 'UTF8') ELSE ''::bytea END)
FROM calls.imports i WHERE i.i_import = r.i_import;
DELETE FROM calls.rejected_cdrs r USING calls.rejected_cdrs newer
WHERE newer.content = r.content AND newer.i_rejected > r.i_rejected;
ALTER TABLE calls.rejected_cdrs ALTER COLUMN content SET NOT NULL;
ALTER TABLE calls.rejected_cdrs ALTER COLUMN source SET NOT NULL;
ALTER TABLE calls.rejected_cdrs DROP COLUMN bytes_hash;
CREATE UNIQUE INDEX rejected_cdrs_once ON calls.rejected_cdrs (content);
CREATE INDEX rejected_cdrs_by_file ON calls.rejected_cdrs (file, i_rejected);
CREATE INDEX rejected_cdrs_by_length ON calls.rejected_cdrs (source, octet_length(bytes));
