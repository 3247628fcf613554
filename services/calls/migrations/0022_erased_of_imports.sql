-- How many of the calls that an import stored are of accounts that were erased since. Those that were erased before this
-- migration were not counted.
ALTER TABLE calls.imports ADD COLUMN erased bigint NOT NULL DEFAULT 0;
