-- Who changed what that no import or post does by itself: keys, accounts, imports taken back, rows discarded, erasures.
CREATE TABLE calls.audit (
  i_audit bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      timestamptz NOT NULL DEFAULT now(),
  -- key:4, jwt:…, terminal:root; and what people know it by
  by_id   text COLLATE "C" NOT NULL,
  by_name text NOT NULL,
  -- what was done, such as keys.revoke, and to what, such as key 4
  action  text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  detail  jsonb NOT NULL,
  -- rows that it was about, counted before and after; null where there is nothing to count
  before  jsonb,
  after   jsonb
);

-- What was written stays as it is. Only the schema as a whole goes, when a back-up takes its place.
CREATE FUNCTION calls.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'calls.audit is only added to: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_rows_stay BEFORE UPDATE OR DELETE ON calls.audit
  FOR EACH ROW EXECUTE FUNCTION calls.refuse_audit_change();
CREATE TRIGGER audit_stays BEFORE TRUNCATE ON calls.audit
  FOR EACH STATEMENT EXECUTE FUNCTION calls.refuse_audit_change();
