-- What the processes of this service share and nobody else may know, each made once by whoever comes first.
CREATE TABLE calls.secrets (
  name       text PRIMARY KEY,
  value      bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
