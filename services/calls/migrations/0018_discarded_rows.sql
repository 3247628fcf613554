-- Rows that were set aside and are none to mend: they are not listed, and are known when their file is read again. Their
-- bytes are gone.
ALTER TABLE calls.rejected_cdrs ADD COLUMN discarded_at timestamptz;
