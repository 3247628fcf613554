-- What versions without a migration would read as more rights than it gives keeps those versions from running once it is
-- stored: a name that ends with _used_breaking stands among the migrations then (platform/database/migrate.ts). They look for
-- such names when they start. A mark stays when what it marked is gone.
CREATE FUNCTION calls.mark_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO calls.migrations (name, timestamp)
  VALUES (TG_ARGV[0] || '_used_breaking', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

-- Keys of a closed account are refused. Versions before let them in.
CREATE TRIGGER marks_use AFTER INSERT OR UPDATE OF closed_from ON calls.accounts
  FOR EACH ROW WHEN (NEW.closed_from IS NOT NULL) EXECUTE FUNCTION calls.mark_use('0012_closed_accounts');
-- What was erased is not taken in again. Versions before take it in.
CREATE TRIGGER marks_use AFTER INSERT ON calls.erasures
  FOR EACH ROW EXECUTE FUNCTION calls.mark_use('0014_erasures');
-- A parent sees of an account that was moved what is its own. Versions before show it all.
CREATE TRIGGER marks_use AFTER INSERT ON calls.account_parents
  FOR EACH ROW EXECUTE FUNCTION calls.mark_use('0020_moved_accounts');

-- Also where rows are copied in as a replica's are.
ALTER TABLE calls.accounts ENABLE ALWAYS TRIGGER marks_use;
ALTER TABLE calls.erasures ENABLE ALWAYS TRIGGER marks_use;
ALTER TABLE calls.account_parents ENABLE ALWAYS TRIGGER marks_use;

-- What is stored already.
INSERT INTO calls.migrations (name, timestamp)
SELECT used.migration || '_used_breaking', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
FROM (VALUES ('0012_closed_accounts', EXISTS (SELECT FROM calls.accounts WHERE closed_from IS NOT NULL)),
             ('0014_erasures', EXISTS (SELECT FROM calls.erasures)),
             ('0020_moved_accounts', EXISTS (SELECT FROM calls.account_parents))) AS used (migration, is_so)
WHERE is_so;
