-- Imports that are taken back: since when, and what was taken back so far; a batch of one that is being taken back is refused.
ALTER TABLE calls.imports ADD COLUMN undo_began_at timestamptz;
ALTER TABLE calls.imports ADD COLUMN undone_at timestamptz;
ALTER TABLE calls.imports ADD COLUMN undone jsonb;

-- A row that was taken in after all, by this import: should that be taken back, it is set aside again. null: it waits.
ALTER TABLE calls.rejected_cdrs ADD COLUMN taken_by integer;
ALTER TABLE calls.rejected_cdrs ADD COLUMN taken_at timestamptz;
-- Imports that had set it aside before `i_import` did, the last ones.
ALTER TABLE calls.rejected_cdrs ADD COLUMN aside_before integer[] NOT NULL DEFAULT '{}';
CREATE INDEX rejected_cdrs_by_taker ON calls.rejected_cdrs (taken_by) WHERE taken_by IS NOT NULL;
CREATE INDEX rejected_cdrs_by_import ON calls.rejected_cdrs (i_import);

-- Batches of nothing new counted as if their import had told up to that moment (least() passes over nulls).
UPDATE calls.imports SET told_to = NULL WHERE told_at IS NULL AND told_to IS NOT NULL;
