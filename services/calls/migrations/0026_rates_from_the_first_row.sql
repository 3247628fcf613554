-- When the first count of an hour came: the rate of a switch that is known for less than two hours goes by the time since then,
-- as after an upgrade from a version that did not count. null: counted by a version before.
ALTER TABLE calls.source_hours ADD COLUMN since timestamptz;
ALTER TABLE calls.source_hours ALTER COLUMN since SET DEFAULT now();
