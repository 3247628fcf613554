-- Below whom an account stood, from when to when: of accounts that were moved alone, and of those without a gap, from
-- -infinity to infinity. Of all others accounts.i_parent holds for all time; of these it is the parent of the last stretch.
CREATE TABLE calls.account_parents (
  i_account bigint NOT NULL REFERENCES calls.accounts ON DELETE CASCADE,
  -- null: below nobody
  i_parent  bigint REFERENCES calls.accounts ON DELETE SET NULL,
  since     timestamptz NOT NULL,
  until     timestamptz NOT NULL,
  PRIMARY KEY (i_account, since),
  CHECK (since < until)
);
CREATE INDEX account_parents_by_parent ON calls.account_parents (i_parent) WHERE i_parent IS NOT NULL;
