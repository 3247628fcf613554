-- What joins the legs of a call within an account and source (Asterisk's linkedid and its like); null where its source did
-- not tell it: then its call_id does (docs/decisions/0030).
ALTER TABLE calls.cdrs ADD COLUMN linked_id text COLLATE "C";

-- The legs of a call, in order of time. New months have it from the start; a running service makes it for the months that
-- are there, one after the other (month_indexes.ts).
CREATE INDEX cdrs_by_linkage ON ONLY calls.cdrs (i_account, coalesce(linked_id, call_id), start_time);

-- Months whose calls were stored before, of which only the attributes tell what joins them and whose answer was the
-- switch's own. A running service notes it step by step (linkage_repairs.ts); all up to the place, by i_cdr, is done.
CREATE TABLE calls.linkage_repairs (
  month       integer PRIMARY KEY,
  i_cdr       bigint NOT NULL DEFAULT 0,
  finished_at timestamptz
);
INSERT INTO calls.linkage_repairs (month)
SELECT substring(c.relname FROM 6)::int
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'calls.cdrs'::regclass;
