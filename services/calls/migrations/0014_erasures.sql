-- What was erased, by pseudonym: an account's code, or a telephone number. Rows that name it are taken in without it
-- (erasure/erased.ts), those of calls that began before; and an erasure that was cut off goes on from its place.
CREATE TABLE calls.erasures (
  kind        text COLLATE "C" NOT NULL CHECK (kind IN ('code', 'number')),
  pseudonym   text COLLATE "C" NOT NULL,
  begun_at    timestamptz NOT NULL DEFAULT now(),
  -- null: it was cut off, or goes on
  finished_at timestamptz,
  -- of a number: the table and page that come next
  place       jsonb,
  -- rows that it has changed or deleted so far, by table
  counts      jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (kind, pseudonym)
);

-- Who stores calls of an account that is being erased meanwhile is refused, and finds it gone when he tries again.
DELETE FROM calls.account_sources s WHERE NOT EXISTS (SELECT FROM calls.accounts a WHERE a.i_account = s.i_account);
ALTER TABLE calls.account_sources ADD FOREIGN KEY (i_account) REFERENCES calls.accounts ON DELETE CASCADE;
