-- From when on an account is closed: its keys are refused, and calls that start later are flagged. Null: open.
ALTER TABLE calls.accounts ADD COLUMN closed_from timestamptz;

-- What accounts were called before they were renamed. Rows that still name them so are theirs.
CREATE TABLE calls.former_codes (
  code       text COLLATE "C" PRIMARY KEY,
  i_account  bigint NOT NULL REFERENCES calls.accounts ON DELETE CASCADE,
  renamed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX former_codes_by_account ON calls.former_codes (i_account);
