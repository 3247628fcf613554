-- When a process of this service last saw the primary, by its own clock: what replica lag is measured by.
CREATE TABLE calls.heartbeat (
  id boolean PRIMARY KEY CHECK (id),
  at timestamptz NOT NULL
);
