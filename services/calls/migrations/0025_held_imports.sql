-- Until when an import's process holds it; the process renews this while it runs. An unfinished import that nobody holds was
-- interrupted. null: of an earlier version, or a switch that posts. A version before holds no imports: its new imports
-- count as running for a day.
ALTER TABLE calls.imports ADD COLUMN held_until timestamptz;
ALTER TABLE calls.imports ALTER COLUMN held_until SET DEFAULT now() + interval '1 day';
