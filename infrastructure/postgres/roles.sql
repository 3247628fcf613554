-- Run once by Patroni, on the primary of a new cluster (bootstrap.post_bootstrap): the database and its owner.
-- The secret is stored as SCRAM; PgBouncer's user list has the same text.
\set ON_ERROR_STOP on

CREATE ROLE trunkline LOGIN PASSWORD '${APP_SCRAM}';

-- Limits of the role, not of a session: PgBouncer in transaction mode keeps no session settings.
-- Longer statements (a migration, an export) set their own limit: SET LOCAL statement_timeout.
ALTER ROLE trunkline SET statement_timeout = '30s';
ALTER ROLE trunkline SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE trunkline SET timezone = 'UTC';

CREATE DATABASE trunkline OWNER trunkline TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE trunkline FROM PUBLIC;
