-- Messages between services, in one schema of each database: a publisher writes them in its own transaction.
-- README.md of platform/messaging says what the states are and who moves a message from one to the next.

-- Who gets which event. A publisher need not know who that is.
CREATE TABLE messaging.subscriptions (
  topic text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, queue)
);

-- What was decided about a queue. A queue without a row is not paused.
CREATE TABLE messaging.queues (
  queue     text COLLATE "C" PRIMARY KEY,
  paused_at timestamptz,
  paused_by text
);

-- One row for each message and each queue that it is in. A row that has been handled is deleted.
CREATE TABLE messaging.messages (
  i_message  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue      text COLLATE "C" NOT NULL,
  -- ready, leased, delayed, blocked (an earlier message of its key is not through yet), sent (to the broker)
  state      text COLLATE "C" NOT NULL,
  priority   smallint NOT NULL,
  -- the same in every queue and at every attempt: by it a consumer knows a duplicate
  id         uuid NOT NULL,
  topic      text COLLATE "C" NOT NULL,
  version    smallint NOT NULL,
  -- messages of one key are handled one after the other, in the order in which they were published; null: in any order
  key        text COLLATE "C",
  -- leased: when the lease ends; delayed: when it becomes ready; blocked: from when on it may be ready
  due_at     timestamptz,
  expires_at timestamptz,
  -- how often a handler was given it, and how often that handler's process was lost with it
  attempt    smallint NOT NULL DEFAULT 0,
  lost       smallint NOT NULL DEFAULT 0,
  published_at timestamptz NOT NULL DEFAULT now(),
  -- why the last attempt failed
  error      text,
  headers    json,
  body       json NOT NULL
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- What is taken next. Only ready rows stand in it, so that delayed and blocked ones cost the take nothing.
CREATE INDEX messages_ready ON messaging.messages (queue, priority DESC, i_message) WHERE state = 'ready';
-- Those that may have killed the process that had them: taken alone.
CREATE INDEX messages_suspects ON messaging.messages (queue, priority DESC, i_message) WHERE state = 'ready' AND lost >= 2;
-- What time moves on: leases that end, delays that are over, of whatever queue. Only a statement that asks for the time can use
-- it: one that names its rows by number would otherwise be planned to read all that is leased or delayed.
CREATE INDEX messages_due ON messaging.messages (due_at) WHERE due_at IS NOT NULL AND state IN ('leased', 'delayed');
-- The one message of a key that is not blocked, and those behind it.
CREATE INDEX messages_open_keys ON messaging.messages (queue, key) WHERE key IS NOT NULL AND state <> 'blocked';
CREATE INDEX messages_blocked ON messaging.messages (queue, key, i_message) WHERE state = 'blocked';

-- Events as they were published, for a subscription that comes later; kept for some days.
CREATE TABLE messaging.events (
  i_event    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id         uuid NOT NULL,
  topic      text COLLATE "C" NOT NULL,
  version    smallint NOT NULL,
  key        text COLLATE "C",
  priority   smallint NOT NULL,
  expires_at timestamptz,
  published_at timestamptz NOT NULL DEFAULT now(),
  headers    json,
  body       json NOT NULL
);
CREATE INDEX events_of_topic ON messaging.events (topic, published_at);
CREATE INDEX events_by_age ON messaging.events (published_at);

-- What no attempt will be made for any more, with its cause. It is kept until somebody replays or drops it.
CREATE TABLE messaging.dead_letters (
  i_dead_letter bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue      text COLLATE "C" NOT NULL,
  -- one word, such as attempts_used_up, expired, process_lost, or a handler's own
  cause      text COLLATE "C" NOT NULL,
  error      text,
  died_at    timestamptz NOT NULL DEFAULT now(),
  id         uuid NOT NULL,
  topic      text COLLATE "C" NOT NULL,
  version    smallint NOT NULL,
  key        text COLLATE "C",
  priority   smallint NOT NULL,
  attempt    smallint NOT NULL,
  expires_at timestamptz,
  published_at timestamptz NOT NULL,
  headers    json,
  body       json NOT NULL
);
CREATE INDEX dead_letters_of_queue ON messaging.dead_letters (queue, cause, i_dead_letter);

-- What a consumer has done already. Written in the transaction of the effect.
CREATE TABLE messaging.handled (
  queue      text COLLATE "C" NOT NULL,
  id         uuid NOT NULL,
  handled_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (queue, id)
);
CREATE INDEX handled_by_age ON messaging.handled (handled_at);

-- What every living process is to know now. A process that misses one finds out by itself, later.
CREATE TABLE messaging.broadcasts (
  -- its transaction: a reader goes no further than the oldest one that is still open
  xact       xid8 NOT NULL DEFAULT pg_current_xact_id(),
  i_broadcast bigint GENERATED ALWAYS AS IDENTITY,
  topic      text COLLATE "C" NOT NULL,
  sent_at    timestamptz NOT NULL DEFAULT now(),
  body       json NOT NULL,
  PRIMARY KEY (xact, i_broadcast)
);
CREATE INDEX broadcasts_by_age ON messaging.broadcasts (sent_at);
