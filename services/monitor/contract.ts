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
    severity: oneOf(SEVERITIES, 'How bad'),
    title: Type.String(),
    message: Type.String(),
    labels: Type.Record(Type.String(), Type.String(), { description: 'Which part' }),
    state: oneOf(['pending', 'firing', 'resolved'], 'pending: not yet for as long as the rule wants'),
    since: stamp('Since when it holds'),
    resolved_at: Type.Optional(stamp('When it ended')),
    announced: Type.Boolean({ description: 'Whether it was sent' }),
    flapping: Type.Boolean({ description: 'It changes so often that single changes are not sent' }),
    cause: Type.Optional(Type.String({ description: 'The alert that this one is a consequence of' })),
    silenced_by: Type.Optional(Type.String({ description: 'The silence that keeps it from being sent' })),
    acknowledged: Type.Optional(Type.Object({ by: Type.String(), at: Type.String(), note: Type.String() })),
    runbook: Type.String({ description: 'Place in docs/RUNBOOK.md' }),
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
    kind: oneOf(NOTICE_KINDS, 'What is told'),
    message: Type.String(),
    attempts: Type.Integer({ description: 'Attempts begun' }),
  },
  { title: 'Delivery' },
);

export const AlertsAnswer = answer(
  Type.Object({
    active: Type.Array(Alert),
    history: Type.Array(Alert, { description: 'The newest first' }),
    silences: Type.Array(Silence),
    undelivered: Type.Array(Delivery, { description: 'What waits for a channel' }),
  }),
);
export const AlertAnswer = answer(Alert);
export const SilenceAnswer = answer(Silence);

export const AlertParams = Type.Object({ id: words(40, 'Of an active alert') });
export const SilenceParams = Type.Object({ id: words(40, 'Of a silence that holds') });

export const Acknowledgement = Type.Object(
  {
    by: words(100, 'Who looks after it'),
    note: Type.Optional(words(500, 'For the others')),
  },
  closed,
);

export const NewSilence = Type.Object(
  {
    match: Type.Record(Type.String({ pattern: '^[a-z_]{1,40}$' }), words(200, 'Equal to the label'), {
      minProperties: 1,
      maxProperties: 10,
      description:
        'Labels that an alert must have; `rule` and `severity` are those of the alert. What no alert can have is refused',
    }),
    until: words(40, 'Its end, RFC 3339 with a zone'),
    by: words(100, 'Who wants it'),
    reason: words(500, 'Why'),
  },
  closed,
);

export const TestAnswer = answer(
  Type.Array(
    Type.Object({
      channel: Type.String(),
      delivered: Type.Boolean(),
      error: Type.Optional(Type.String({ description: 'Why not; it is tried again' })),
    }),
    { description: 'How a test went through each channel' },
  ),
);

const Part = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    role: Type.String({
      description:
        'monitor, service, haproxy, bouncer, primary, replica, postgres, source, disk, backup, etcd, supervisor, lease',
    }),
    state: oneOf(PART_STATES, 'As last seen'),
    since: stamp('Since when'),
    connections: nullable('integer', 'Connections now; null where it is not known'),
    detail: Type.String({ description: 'What is behind the state' }),
  },
  { title: 'Part' },
);
const Edge = Type.Object(
  {
    from: Type.String(),
    to: Type.String(),
    via: Type.String({ description: 'What goes over it' }),
    rate_per_s: nullable('number', 'New sessions a second; null where nobody counts them'),
    errors_per_s: nullable('number', 'Failed connects and answers a second'),
    connections: nullable('integer', 'Connections now'),
  },
  { title: 'Edge' },
);
export const TopologyAnswer = answer(
  Type.Unsafe<Topology>(
    Type.Object(
      {
        at: nullable('string', 'When it was looked at; null before the first poll'),
        parts: Type.Array(Part),
        edges: Type.Array(Edge),
      },
      { title: 'Topology' },
    ),
  ),
);
