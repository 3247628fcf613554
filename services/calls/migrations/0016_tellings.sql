-- What each import told of a call that several have told, so that one of them can be taken back exactly
-- (docs/decisions/0028). A call that one import alone has told is its own telling and has no row here.
CREATE SEQUENCE calls.telling_numbers;
CREATE TABLE calls.tellings (
  -- the order in which they were told, with those of told_again, whose number stands for all calls of a batch
  i_telling  bigint NOT NULL DEFAULT nextval('calls.telling_numbers'),
  i_cdr      bigint NOT NULL,
  i_import   integer,
  -- which of those that its import told of the call: 0 for the one that stored it
  nth        bigint NOT NULL,
  -- the call as it was before others told more of it: it comes before all others
  is_base    boolean NOT NULL,
  -- false: its source ended before its row did
  ended      boolean NOT NULL,
  -- what a version before would know the row by
  key_before text COLLATE "C" NOT NULL,
  -- stored, completed or duplicate: what its import counted
  outcome    text NOT NULL,
  -- what the row said alone, by the columns of calls.cdrs
  call       jsonb NOT NULL,
  told_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (i_cdr, i_telling)
);
CREATE INDEX tellings_by_import ON calls.tellings (i_import, i_cdr);

-- Calls of which an import told word for word what another had told: a row for each batch, not for each call.
CREATE TABLE calls.told_again (
  i_telling bigint NOT NULL DEFAULT nextval('calls.telling_numbers'),
  i_import  integer NOT NULL,
  -- the import that told the same
  same_as   integer NOT NULL,
  -- which of those that it told of the call
  same_nth  bigint NOT NULL,
  -- the numbers of the calls: i_cdr without its month, which a call keeps
  numbers   int8multirange NOT NULL,
  told_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX told_again_by_same ON calls.told_again (same_as, i_telling);
CREATE INDEX told_again_by_import ON calls.told_again (i_import);
CREATE INDEX told_again_by_time ON calls.told_again (told_at);

-- Whether what others told of its calls is noted. Imports of versions before can't be taken back where they completed calls.
ALTER TABLE calls.imports ADD COLUMN noted boolean NOT NULL DEFAULT false;
