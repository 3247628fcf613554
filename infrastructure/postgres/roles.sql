-- Run once by Patroni, on the primary of a new cluster (bootstrap.post_bootstrap): the database and its owner.
-- The secret is stored as SCRAM; the same text stands in PgBouncer's user list.
\set ON_ERROR_STOP on

CREATE ROLE trunkline LOGIN PASSWORD '${APP_SCRAM}';

-- Limits of the role, not of a session: PgBouncer in transaction mode keeps no session settings.
-- What must take longer (a migration, an export) says so for itself: SET LOCAL statement_timeout.
ALTER ROLE trunkline SET statement_timeout = '30s';
ALTER ROLE trunkline SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE trunkline SET timezone = 'UTC';

CREATE DATABASE trunkline OWNER trunkline TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE trunkline FROM PUBLIC;
