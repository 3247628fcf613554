/**
 * The schema of a valid state file. Valid JSON of another form would stop every poll with an
 * error: the monitor would run and see nothing.
 */
import { Type } from 'typebox';
import { Errors } from 'typebox/value';
import { NOTICE_KINDS, SEVERITIES } from './words.ts';

/** The last instant that a Date can represent. */
const LAST_INSTANT_MS = 8.64e15;

const Instant = Type.Number({ minimum: -LAST_INSTANT_MS, maximum: LAST_INSTANT_MS });
const Labels = Type.Record(Type.String(), Type.String());
const Severity = Type.Enum([...SEVERITIES]);
const Count = Type.Integer({ minimum: 0 });

const Alert = Type.Object({
  id: Type.String(),
  key: Type.String(),
  rule: Type.String(),
  severity: Severity,
  labels: Labels,
  title: Type.String(),
  message: Type.String(),
  recovery: Type.String(),
  // A value that is not finite is null in JSON; the next poll gives the value again.
  value: Type.Union([Type.Number(), Type.Null()]),
  state: Type.Enum(['pending', 'firing', 'resolved']),
  since: Instant,
  resolvedAt: Type.Optional(Instant),
  announced: Type.Boolean(),
  cause: Type.Optional(Type.String()),
  waits: Type.Optional(Type.Boolean()),
  acknowledged: Type.Optional(Type.Object({ by: Type.String(), at: Instant, note: Type.String() })),
});

const Silence = Type.Object({
  id: Type.String(),
  match: Labels,
  by: Type.String(),
  reason: Type.String(),
  // Earlier versions accepted ends that no Date can represent.
  until: Type.Number(),
});

const Notice = Type.Object({
  id: Type.String(),
  kind: Type.Enum([...NOTICE_KINDS]),
  severity: Severity,
  title: Type.String(),
  message: Type.String(),
  details: Type.Array(Type.String()),
  at: Type.String(),
  keys: Type.Array(Type.String()),
  messages: Type.Optional(Type.Array(Type.String())),
  runbook: Type.String(),
});

const Amount = { times: Count, downMs: Type.Number() };
const Span = { from: Instant, to: Instant, ...Amount };

const StateFile = Type.Object({
  version: Type.Enum([1, 2]),
  saved_at: Instant,
  alerts: Type.Object({
    active: Type.Record(Type.String(), Alert),
    history: Type.Array(Alert),
    changes: Type.Record(Type.String(), Type.Array(Instant)),
    flapping: Type.Record(Type.String(), Instant),
    silences: Type.Array(Silence),
    // The version before had none.
    over: Type.Optional(Type.Array(Type.String())),
    ended: Type.Record(Type.String(), Instant),
    ofAll: Type.Record(Type.String(), Instant),
    count: Count,
  }),
  outages: Type.Object({
    processes: Type.Record(
      Type.String(),
      Type.Object({
        sessionsTotal: Type.Number(),
        at: Type.Optional(Instant),
        servers: Type.Record(
          Type.String(),
          Type.Object({
            timesDown: Type.Number(),
            downtimeS: Type.Number(),
            openFrom: Type.Optional(Instant),
          }),
        ),
      }),
    ),
    // The version before had other fields here.
    ended: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.Object({ ...Span, haproxy: Type.String() }))),
    ),
    told: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Array(Type.Object({ ...Span, by: Type.Record(Type.String(), Type.Object(Amount)) })),
      ),
    ),
    leader: Type.Optional(Type.String()),
  }),
  deliveries: Type.Array(
    Type.Object({ id: Type.String(), channel: Type.String(), notice: Notice, attempts: Count }),
  ),
  notices: Count,
  heartbeatAt: Type.Optional(Instant),
});

/** The first fault of a state file; undefined: it has none. */
export function stateFault(read: unknown): string | undefined {
  const [first] = Errors(StateFile, read);
  return first && `${first.instancePath || 'the whole'} ${first.message}`;
}
