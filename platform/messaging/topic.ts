/**
 * What services tell each other, as plain data. A service declares its topics in its contract; docs/EVENTS.md is written from them.
 *
 *   event      a fact. Each consumer that has subscribed gets it; the processes of one consumer share it out.
 *   work       something to be done, by whoever takes it first.
 *   broadcast  what every living process is to know now, such as a cache's entry that no longer holds. A process that misses it
 *              finds out by itself, later.
 */
import type { Static, TSchema } from 'typebox';

export type TopicKind = 'event' | 'work' | 'broadcast';

/** @template Body what a message of the topic says */
export interface Topic<Body = unknown, Kind extends TopicKind = TopicKind> {
  readonly kind: Kind;
  /** As the field says it, what it is about before what happened: `account.created`. */
  readonly name: string;
  /** Counts changes of the body that a consumer of the version before can't read. */
  readonly version: number;
  /** What has happened or is to be done, for docs/EVENTS.md. */
  readonly purpose: string;
  readonly body: TSchema & { readonly static?: Body };
}

interface About<Schema extends TSchema> {
  readonly name: string;
  readonly version: number;
  readonly purpose: string;
  readonly body: Schema;
}

const topic =
  <Kind extends TopicKind>(kind: Kind) =>
  <const Schema extends TSchema>(about: About<Schema>): Topic<Static<Schema>, Kind> =>
    ({ ...about, kind }) as unknown as Topic<Static<Schema>, Kind>;

export const event = topic('event');
export const work = topic('work');
export const broadcast = topic('broadcast');

/** The higher, the sooner; messages of one priority are taken in the order in which they were published. */
export const MAX_PRIORITY = 9;

/** One message that is to be published. */
export interface Outgoing {
  readonly topic: Topic<unknown, 'event' | 'work'>;
  readonly body: unknown;
  /**
   * Messages of one key are handled one after the other, in the order in which they were published, retries and delays
   * included. Messages of transactions that overlap have no order between them.
   */
  readonly key?: string;
  /** 0, the least, to MAX_PRIORITY; 0 unless given. */
  readonly priority?: number;
  /** No attempt is made before. */
  readonly notBefore?: Date;
  /** No attempt is made after; then it is a dead letter with the cause `expired`. */
  readonly expiresAt?: Date;
  /** What travels with the body, such as a `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A message of a topic; its body is checked by the type. */
export const message = <Body>(
  topic: Topic<Body, 'event' | 'work'>,
  body: Body,
  options: Omit<Outgoing, 'topic' | 'body'> = {},
): Outgoing => ({ topic, body, ...options });
