-- Which sources bring an account's calls, and by which import they told furthest: its data is complete as far as those have
-- told, whatever others do (docs/decisions/0022).
CREATE TABLE calls.account_sources (
  i_account bigint NOT NULL,
  source    text COLLATE "C" NOT NULL,
  i_import  integer NOT NULL,
  PRIMARY KEY (i_account, source)
);

-- The end of the last call that an import has told, and when that was told.
ALTER TABLE calls.imports ADD COLUMN told_to timestamptz;
ALTER TABLE calls.imports ADD COLUMN told_at timestamptz;

-- One walk over all calls. A switch that posts has one import for years, which began long before what it told last.
WITH told AS MATERIALIZED (
  SELECT i_account, source, i_import, max(coalesce(disconnect_time, start_time + make_interval(secs => duration_s::float8))) AS told_to
  FROM calls.cdrs
  WHERE i_import IS NOT NULL AND coalesce(disconnect_time, start_time + make_interval(secs => duration_s::float8)) <= now()
  GROUP BY 1, 2, 3
), ends AS (
  SELECT i_import, max(told_to) AS told_to FROM told GROUP BY 1
), noted AS (
  UPDATE calls.imports i SET told_to = e.told_to, told_at = coalesce(i.finished_at, i.started_at)
  FROM ends e WHERE e.i_import = i.i_import
)
INSERT INTO calls.account_sources (i_account, source, i_import)
SELECT DISTINCT ON (i_account, source) i_account, source, i_import
FROM told JOIN ends USING (i_import)
ORDER BY i_account, source, ends.told_to DESC, i_import DESC;
