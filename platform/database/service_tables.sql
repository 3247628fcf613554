-- Tables that every service has, in its own schema. SCHEMA stands for the schema's name (migrate.ts).

-- What the processes of a service share: the first one makes it.
CREATE TABLE SCHEMA.secrets (
  name  text PRIMARY KEY,
  value bytea NOT NULL
);

-- How far a replica is behind is measured by it: a row that the primary's health check writes.
CREATE TABLE SCHEMA.heartbeat (
  id boolean PRIMARY KEY CHECK (id),
  at timestamptz NOT NULL
);

-- Who changed what that no request does by itself. Rows are only added; the schema as a whole goes when a back-up takes its place.
CREATE TABLE SCHEMA.audit (
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
CREATE FUNCTION SCHEMA.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'SCHEMA.audit is only added to: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_rows_stay BEFORE UPDATE OR DELETE ON SCHEMA.audit
  FOR EACH ROW EXECUTE FUNCTION SCHEMA.refuse_audit_change();
CREATE TRIGGER audit_stays BEFORE TRUNCATE ON SCHEMA.audit
  FOR EACH STATEMENT EXECUTE FUNCTION SCHEMA.refuse_audit_change();
