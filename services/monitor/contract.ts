/** The monitor's API as schemas. */
import { type Static, Type } from 'typebox';
import { answer, closed, oneOf, text } from '#platform/http/answers.ts';
import { PART_STATES, type Topology } from './topology_parts.ts';
import { NOTICE_KINDS, SEVERITIES } from './words.ts';

const nullable = (type: string, description: string) =>
  Type.Unsafe<never>({ type: [type, 'null'], description });
const words = (maxLength: number, description: string) => text(description, maxLength);
const stamp = (description: string) => Type.String({ description: `${description}, RFC 3339` });

export const Alert = Type.Object(
  {
    id: Type.String(),
    rule: Type.String({ description: 'Name of the rule, services/monitor/rules.ts' }),
    severity: oneOf(SEVERITIES, 'Severity'),
    title: Type.String(),
    message: Type.String(),
    labels: Type.Record(Type.String(), Type.String(), { description: 'The part, by the labels of the rule' }),
    state: oneOf(['pending', 'firing', 'resolved'], 'pending: it has not held for the time of the rule yet'),
    since: stamp('Its beginning'),
    resolved_at: Type.Optional(stamp('Its end')),
    announced: Type.Boolean({ description: 'Whether it was sent' }),
    flapping: Type.Boolean({ description: 'It changes so often that single changes are not sent' }),
    cause: Type.Optional(Type.String({ description: 'The alert that is the cause of this one' })),
    silenced_by: Type.Optional(Type.String({ description: 'The silence that holds it back' })),
    acknowledged: Type.Optional(Type.Object({ by: Type.String(), at: Type.String(), note: Type.String() })),
    runbook: Type.String({ description: 'Anchor of its entry in docs/RUNBOOK.md' }),
  },
  { title: 'Alert' },
);
export type Alert = Static<typeof Alert>;

export const Silence = Type.Object(
  {
    id: Type.String(),
    match: Type.Record(Type.String(), Type.String()),
    until: stamp('Its end'),
    by: Type.String(),
    reason: Type.String(),
  },
  { title: 'Silence' },
);

export const Delivery = Type.Object(
  {
    id: Type.String(),
    channel: Type.String(),
    kind: oneOf(NOTICE_KINDS, 'The kind of message'),
    message: Type.String(),
    attempts: Type.Integer({ description: 'Number of attempts' }),
  },
  { title: 'Delivery' },
);

export const AlertsAnswer = answer(
  Type.Object({
    active: Type.Array(Alert),
    history: Type.Array(Alert, { description: 'The newest first' }),
    silences: Type.Array(Silence),
    undelivered: Type.Array(Delivery, { description: 'Messages that wait for a channel' }),
  }),
);
export const AlertAnswer = answer(Alert);
export const SilenceAnswer = answer(Silence);

export const AlertParams = Type.Object({ id: words(40, 'The id of an active alert') });
export const SilenceParams = Type.Object({ id: words(40, 'The id of a silence that holds') });

export const Acknowledgement = Type.Object(
  {
    by: words(100, 'The name of the person who handles the alert'),
    note: Type.Optional(words(500, 'A note for other people')),
  },
  closed,
);

export const NewSilence = Type.Object(
  {
    match: Type.Record(Type.String({ pattern: '^[a-z_]{1,40}$' }), words(200, 'The value of the label'), {
      minProperties: 1,
      maxProperties: 10,
      description:
        'Labels that an alert must have, and its `rule` and `severity`. Values that no alert can have are refused',
    }),
    until: words(40, 'Its end, RFC 3339 with a zone'),
    by: words(100, 'The name of its author'),
    reason: words(500, 'The reason'),
  },
  closed,
);

export const TestAnswer = answer(
  Type.Array(
    Type.Object({
      channel: Type.String(),
      delivered: Type.Boolean(),
      error: Type.Optional(
        Type.String({ description: 'The reason, if it was not delivered; it is retried' }),
      ),
    }),
    { description: 'The result of the test for each channel' },
  ),
);

const Part = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    role: Type.String({
      description:
        'monitor, service, haproxy, bouncer, primary, replica, postgres, source, disk, backup, etcd, supervisor, lease, redis, rabbitmq, queue, relay',
    }),
    state: oneOf(PART_STATES, 'The state at the last poll'),
    since: stamp('The beginning of this state'),
    connections: nullable('integer', 'Connections now; null if unknown'),
    detail: Type.String({ description: 'The reason of the state' }),
  },
  { title: 'Part' },
);
const Edge = Type.Object(
  {
    from: Type.String(),
    to: Type.String(),
    via: Type.String({ description: 'The traffic on it' }),
    rate_per_s: nullable('number', 'New sessions a second; null if they are not counted'),
    errors_per_s: nullable('number', 'Failed connects and answers a second'),
    connections: nullable('integer', 'Connections now'),
  },
  { title: 'Edge' },
);
export const TopologyAnswer = answer(
  Type.Unsafe<Topology>(
    Type.Object(
      {
        at: nullable('string', 'The time of the last poll; null before the first'),
        parts: Type.Array(Part),
        edges: Type.Array(Edge),
      },
      { title: 'Topology' },
    ),
  ),
);
