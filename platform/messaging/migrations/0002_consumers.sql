-- Which processes take from which queue. Each of them shows itself every few seconds.
CREATE TABLE messaging.consumers (
  queue   text COLLATE "C" NOT NULL,
  process uuid NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (queue, process)
);
