-- Calls of an import are found by it, those of one account in order of time. New months have the index from the start; a
-- running service makes it for the months that are there (month_indexes.ts), as those of 0008.
CREATE INDEX cdrs_by_import ON ONLY calls.cdrs (i_import, i_account, start_time, i_cdr);
