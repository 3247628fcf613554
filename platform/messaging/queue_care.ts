/**
 * What an operator does to a queue. Each change is noted in an audit trail, in its own transaction; so is a look at a body, which
 * may hold personal data.
 */
import type { Actor, AuditTrail } from '#platform/database/audit.ts';
import type { Session } from '#platform/database/session.ts';
import {
  countDeadLetters,
  type DeadLetterFilter,
  deadLetter,
  replayDeadLetters,
  type WholeDeadLetter,
} from './dead_letters.ts';
import { listQueues, pauseQueue, type QueueState, resumeQueue } from './queues.ts';

/** So many dead letters one replay puts back at most. */
export const REPLAY_LIMIT = 10_000;

export interface Replayed {
  /** Put back into the queue; in a dry run: would be. */
  readonly replayed: number;
  /** Could be replayed as well, and stay dead beyond the limit. */
  readonly left: number;
  /** Stay dead, since their time is over. */
  readonly expired: number;
}

/** An operator at work, in a transaction of `session`. */
export interface QueueCare {
  readonly session: Session;
  readonly trail: AuditTrail;
  readonly by: Actor;
}

export const queueNamed = (session: Session, queue: string): Promise<QueueState | undefined> =>
  session.row(listQueues({ queue }));

/** Puts dead letters of a queue back, the oldest first. */
export async function replay(
  { session, trail, by }: QueueCare,
  filter: DeadLetterFilter & { readonly queue: string },
  limit: number,
): Promise<Replayed> {
  const replayed = (await session.rows(replayDeadLetters(filter, limit))).length;
  const { dead: left, expired } = (await session.row(countDeadLetters(filter)))!;
  const { queue, cause } = filter;
  const detail = { ...(cause !== undefined && { cause }), limit, replayed };
  await session.run(trail.note(by, { action: 'queues.replay', subject: `queue ${queue}`, detail }));
  return { replayed, left, expired };
}

/** What `replay` would do. Changes nothing. */
export async function dryReplay(
  session: Session,
  filter: DeadLetterFilter,
  limit: number,
): Promise<Replayed> {
  const { dead, expired } = (await session.row(countDeadLetters(filter)))!;
  const replayed = Math.min(dead, limit);
  return { replayed, left: dead - replayed, expired };
}

/** Pauses a queue in all processes, or lets it go on; each notices within a second. A queue that is so already stays so. */
export async function setPaused(
  { session, trail, by }: QueueCare,
  queue: string,
  paused: boolean,
): Promise<void> {
  const changed = await session.run(paused ? pauseQueue(queue, by.name) : resumeQueue(queue));
  if (changed === 0) return;
  const action = paused ? 'queues.pause' : 'queues.resume';
  await session.run(trail.note(by, { action, subject: `queue ${queue}` }));
}

/** A dead letter with its body. @returns undefined where the queue has none of this number */
export async function lookAt(
  { session, trail, by }: QueueCare,
  queue: string,
  iDeadLetter: number,
): Promise<WholeDeadLetter | undefined> {
  const found = await session.row(deadLetter(queue, iDeadLetter));
  if (!found) return undefined;
  const subject = `dead letter ${iDeadLetter} of queue ${queue}`;
  await session.run(trail.note(by, { action: 'queues.look', subject }));
  return found;
}
