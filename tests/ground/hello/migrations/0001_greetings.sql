CREATE TABLE hello.greetings (
  name text PRIMARY KEY,
  times integer NOT NULL DEFAULT 1,
  at timestamptz NOT NULL DEFAULT now()
);
