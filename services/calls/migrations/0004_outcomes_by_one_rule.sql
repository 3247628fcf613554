-- Months whose calls were stored before one rule decided their results (docs/decisions/0013). A running service puts them
-- right step by step (outcome_repairs.ts); all before the place (i_account, quarter), in that order, is done.
CREATE TABLE calls.outcome_repairs (
  month         integer PRIMARY KEY,
  i_account     bigint NOT NULL DEFAULT 0,
  quarter       timestamptz NOT NULL DEFAULT '-infinity',
  calls_changed bigint NOT NULL DEFAULT 0,
  finished_at   timestamptz
);
INSERT INTO calls.outcome_repairs (month)
SELECT substring(c.relname FROM 6)::int
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'calls.cdrs'::regclass;

-- Account codes were taken raw before: those with blanks around them, or not in NFC, are found by what they would be now
-- (account_codes.ts; the characters are those of CODE_EDGES there).
CREATE INDEX accounts_untidy ON calls.accounts (normalize(btrim(code, E'\u0009\u000a\u000b\u000c\u000d\u0020\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff'), NFC))
  WHERE code <> normalize(btrim(code, E'\u0009\u000a\u000b\u000c\u000d\u0020\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff'), NFC);
-- Codes that differ only in case are told of. Of the C collation: ASCII's letters.
CREATE INDEX accounts_by_lower_code ON calls.accounts (lower(code));
