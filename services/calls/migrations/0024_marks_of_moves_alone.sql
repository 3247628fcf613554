-- Versions that know closings and erasures, but no marks (0012 to 0022), refuse every mark; and no version that can be gone back to
-- lacks the two. So they are not marked any more.
DROP TRIGGER marks_use ON calls.accounts;
DROP TRIGGER marks_use ON calls.erasures;
DELETE FROM calls.migrations WHERE name IN ('0012_closed_accounts_used_breaking', '0014_erasures_used_breaking');
