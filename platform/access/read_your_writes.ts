/**
 * Who has just written sees it, though reads go to replicas: an answer to a write says up to where the log must have
 * been replayed (`Read-After`), and a read that brings that header back is answered by nobody who is not as far. With the
 * same key, at the same process, it need not be brought: what a caller wrote is remembered here.
 *
 * The header holds the position and until when it counts, sealed: whoever could make one up could have each of its reads
 * wait, and be done on the primary. What is older than a replica may lag counts no more; so does one of another database,
 * or of a log whose end was lost with its primary.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { WalPosition } from '#platform/database/read_after.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Caller } from './caller.ts';
import { accessError } from './errors.ts';
import { createSeal } from './seal.ts';

export const READ_AFTER_HEADER = 'read-after';
/** Callers whose last write is remembered; the longest unheard of is forgotten first. */
const CALLERS = 10_000;

export interface RecentWrites {
  /** Notes how far a caller has written; gives the header that says so. */
  note(caller: Caller, position: WalPosition): string;
  /**
   * The positions that a request's reads are to be after: what its header says, and what its caller wrote here.
   * @throws ApiError 400 for a header that was not given out here
   */
  before(request: FastifyRequest): readonly WalPosition[];
}

interface Write {
  readonly position: WalPosition;
  /** By the monotonic clock of the process that gave it out; there no other clock counts. */
  readonly until: number;
  readonly process: string;
  /** Milliseconds since 1970: for other processes, whose monotonic clocks know nothing of each other. */
  readonly wallUntil: number;
}

/** @param countsMs how long a write is taken for recent */
export function createRecentWrites(secret: Buffer, countsMs: number, clock: Clock): RecentWrites {
  const { seal, open } = createSeal(secret, 'read after');
  const byCaller = new Map<string, Write>();
  const process = randomUUID();
  const counts = (write: Write) =>
    write.process === process ? write.until > clock.monotonic() : write.wallUntil > clock.now();

  function ofHeader(header: string | string[] | undefined): Write | undefined {
    if (header === undefined) return undefined;
    const opened = typeof header === 'string' ? open(header) : undefined;
    if (opened !== undefined) return JSON.parse(opened) as Write;
    throw accessError('bad_request', {
      message:
        'Read-After is no answer of this service: send what the answer to the write had, unchanged, or leave it out',
      fields: { fields: [READ_AFTER_HEADER] },
    });
  }

  return {
    note: ({ id }, position) => {
      const until = clock.monotonic() + countsMs;
      const write: Write = { position, until, process, wallUntil: clock.now() + countsMs };
      byCaller.delete(id);
      if (byCaller.size >= CALLERS) byCaller.delete(byCaller.keys().next().value!);
      byCaller.set(id, write);
      return seal(JSON.stringify(write));
    },
    before: ({ headers, caller }) =>
      [ofHeader(headers[READ_AFTER_HEADER]), byCaller.get(caller!.id)].flatMap((write) =>
        write && counts(write) ? [write.position] : [],
      ),
  };
}
