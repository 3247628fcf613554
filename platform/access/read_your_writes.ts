/**
 * Read your writes: a caller sees its own writes, although reads go to replicas. The answer to a write names the WAL position
 * that a replica must have replayed (`Read-After`). Only a server that has replayed this position answers a read with
 * the header. With the same key, at the same process, the header is not needed: the caller's last write is remembered here.
 *
 * The header holds the position and its expiry, sealed. With a forged header a client could make each of its reads
 * wait and go to the primary. A header expires after the largest lag of a replica. A header of another database does not count,
 * nor one of a log whose end was lost with its primary.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { After, WalPosition } from '#platform/database/read_after.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Caller } from './caller.ts';
import { accessError } from './errors.ts';
import { createSeal } from './seal.ts';

export const READ_AFTER_HEADER = 'read-after';
/** Callers whose last write is remembered; the one with the oldest write is forgotten first. */
const CALLERS = 10_000;

export interface RecentWrites {
  /** Remembers the position of a caller's write. @returns the header for its answer */
  note(caller: Caller, position: WalPosition): string;
  /**
   * The writes that a request's reads must follow: that of its header, which the client demands, and its caller's last one here.
   * @throws ApiError 400 for a header that this service did not make
   */
  before(request: FastifyRequest): readonly After[];
}

interface Write {
  readonly position: WalPosition;
  /** Expiry by the monotonic clock of the process that made it; only that process uses it. */
  readonly until: number;
  readonly process: string;
  /** Expiry in milliseconds since 1970: for other processes, which have other monotonic clocks. */
  readonly wallUntil: number;
}

/** @param countsMs how long a write counts as recent */
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
        'This service did not make this Read-After: send the header of the answer to the write, unchanged, or omit it',
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
      [
        { write: ofHeader(headers[READ_AFTER_HEADER]), demanded: true },
        { write: byCaller.get(caller!.id), demanded: false },
      ].flatMap(({ write, demanded }) =>
        write && counts(write) ? [{ position: write.position, demanded }] : [],
      ),
  };
}
