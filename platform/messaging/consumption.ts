/**
 * What a service consumes, as plain data. Its definition lists it, so that the program knows before the start who hears of what;
 * its start gives a handler for each.
 */
import type { Handler } from './consumer.ts';
import type { QueueOptions } from './messaging.ts';
import type { Since } from './subscriptions.ts';
import type { Topic, TopicKind } from './topic.ts';

/** @template Body what its messages say */
export interface Consumption<Body = unknown, Kind extends TopicKind = TopicKind> {
  readonly kind: Kind;
  /** Of events the consumer's name, under which all its processes share them; of work and broadcasts the topic's. */
  readonly name: string;
  readonly topics: readonly Topic<Body, Kind>[];
  /** Which events a name gets that is new. */
  readonly since: Since;
  readonly options: QueueOptions;
}

type BodyOf<Topics> = Topics extends readonly Topic<infer Body>[] ? Body : never;

/**
 * Events, for a named consumer; it gets each, whether one of its processes runs at the moment or not.
 * @param name begins with the service's: `users.keys`
 */
export const subscription = <const Topics extends readonly Topic<unknown, 'event'>[]>(
  name: string,
  topics: Topics,
  { since = 'now', ...options }: QueueOptions & { readonly since?: Since } = {},
): Consumption<BodyOf<Topics>, 'event'> =>
  ({ kind: 'event', name, topics, since, options }) as unknown as Consumption<BodyOf<Topics>, 'event'>;

/** Work of a topic; each message goes to one of the processes that take it. */
export const takesWork = <Body>(
  topic: Topic<Body, 'work'>,
  options: QueueOptions = {},
): Consumption<Body, 'work'> => ({ kind: 'work', name: topic.name, topics: [topic], since: 'now', options });

/** What every living process is to know. */
export const hears = <Body>(topic: Topic<Body, 'broadcast'>): Consumption<Body, 'broadcast'> => ({
  kind: 'broadcast',
  name: topic.name,
  topics: [topic],
  since: 'now',
  options: {},
});

/** Who handles what a service consumes. */
export type Handling =
  | { readonly of: Consumption; readonly handle: Handler }
  | { readonly of: Consumption; readonly hear: (body: unknown) => void };

export const handling = <Body>(of: Consumption<Body, 'event' | 'work'>, handle: Handler<Body>): Handling => ({
  of,
  handle: handle as Handler,
});

export const hearing = <Body>(of: Consumption<Body, 'broadcast'>, hear: (body: Body) => void): Handling => ({
  of,
  hear: hear as (body: unknown) => void,
});
