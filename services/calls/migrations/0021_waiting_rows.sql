-- When a row that was set aside was posted again: a switch goes on failing. A file may be read each hour, and does not count.
-- What waits, and since when, is counted for each source by an index: calls.source_hours.set_aside, which also counted what
-- was mended since, is the version before's alone.
ALTER TABLE calls.rejected_cdrs ADD COLUMN seen_again_at timestamptz;
CREATE INDEX rejected_cdrs_waiting ON calls.rejected_cdrs (source, coalesce(seen_again_at, created_at))
  WHERE taken_by IS NULL AND discarded_at IS NULL;
