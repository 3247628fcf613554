/**
 * Stores posts of single calls together: while one transaction runs, the posts that come in wait and make the next one.
 * So a switch that posts call by call from fifty connections pays a fraction of a commit for each, an idle service adds no
 * wait at all, and every answer still comes after its calls are on disk. Each key has its own line of posts: a large post
 * of one key holds up no other's.
 */
import type { Database, RequestContext, Written } from '#platform/database/database.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { callAt } from '#platform/resilience/deadline.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { type ImportSource, type ImportSourceOptions, openPostSource } from './import_source.ts';
import { takeIn } from './intake.ts';
import type { RowOutcome } from './rows.ts';

/** Rows of posts that are stored together. A larger post is stored alone. */
const BATCH_ROWS = 2_000;
/** Rows in a transaction. A larger one is heavy work, and waits among heavy work. */
const PIECE_ROWS = 1_000;
/** The most lines that are kept. */
const MAX_LINES = 100;
/** The most rows that may wait in one line. Further posts are refused, and the switch sends them again. */
export const MAX_WAITING_ROWS = 50_000;

export interface PostBatches {
  /**
   * Stores the rows of one post.
   * @returns the outcome of each, once it is durable
   * @throws RefusedError when too many rows wait, the database takes none, or the context's deadline passes. Rows that were
   *   being stored then may be stored all the same, and are recognised when they come again. The database's error when it
   *   fails
   */
  take(
    context: RequestContext,
    options: ImportSourceOptions,
    rows: readonly ParsedRow[],
  ): Promise<Written<RowOutcome[]>>;
}

interface Post {
  readonly context: RequestContext;
  readonly rows: readonly ParsedRow[];
  readonly done: (written: Written<RowOutcome[]>) => void;
  readonly failed: (error: unknown) => void;
}

/** Posts of one key and one import source: format, source, read options, and the rules for creating accounts. */
interface Line {
  readonly options: ImportSourceOptions;
  readonly waiting: Post[];
  waitingRows: number;
  running: boolean;
  importSource: ImportSource | undefined;
}

export function createPostBatches(database: Database, clock: Clock = systemClock): PostBatches {
  const lines = new Map<string, Line>();

  async function run(key: string, line: Line): Promise<void> {
    line.running = true;
    while (line.waiting.length > 0) {
      const posts = nextBatch(line);
      try {
        const { value: outcomes, position } = await store(line, posts);
        let at = 0;
        for (const post of posts) {
          post.done({ value: outcomes.slice(at, at + post.rows.length), position });
          at += post.rows.length;
        }
      } catch (error) {
        for (const post of posts) post.failed(error);
      }
    }
    line.running = false;
    // An idle line is kept for its import source. A program with a new source for each post must not fill the memory.
    if (lines.size > MAX_LINES) lines.delete(key);
  }

  async function store(line: Line, posts: readonly Post[]): Promise<Written<RowOutcome[]>> {
    const rows = posts.flatMap((post) => post.rows);
    const first = posts[0]!.context;
    const deadline = Math.max(...posts.map((post) => post.context.deadline));
    const heavy = rows.length > PIECE_ROWS;
    const context: RequestContext = { ...first, tenant: `posts:${first.tenant}`, deadline, heavy };
    const outcomes: RowOutcome[] = [];
    let position: Written<unknown>['position'] = null;
    for (let from = 0; from < rows.length; from += PIECE_ROWS) {
      const piece = rows.slice(from, from + PIECE_ROWS);
      const written = await database.withWritePool(context, async (pool, signal) => {
        line.importSource ??= await openPostSource(pool, line.options, signal);
        return takeIn(pool, line.importSource, piece, {}, signal);
      });
      outcomes.push(...written.value);
      ({ position } = written);
    }
    return { value: outcomes, position };
  }

  return {
    take: (context, options, rows) => {
      const { format, source, newAccounts, readOptions, sameCall } = options;
      const key = JSON.stringify([context.tenant, format, source, newAccounts, readOptions, sameCall]);
      const line = lines.get(key) ?? {
        options,
        waiting: [],
        waitingRows: 0,
        running: false,
        importSource: undefined,
      };
      if (line.waitingRows > MAX_WAITING_ROWS) {
        return Promise.reject(new RefusedError('queue_overload', { waitedMs: 0 }));
      }
      lines.set(key, line);
      const { promise, resolve, reject } = Promise.withResolvers<Written<RowOutcome[]>>();
      const arrived = clock.monotonic();
      const post: Post = { context, rows, done: resolve, failed: reject };
      const forgetDeadline = callAt(clock, context.deadline, () => {
        const place = line.waiting.indexOf(post);
        if (place >= 0) {
          line.waiting.splice(place, 1);
          line.waitingRows -= rows.length;
        }
        reject(new RefusedError('deadline', { waitedMs: clock.monotonic() - arrived }));
      });
      line.waiting.push(post);
      line.waitingRows += rows.length;
      if (!line.running) void run(key, line);
      return promise.finally(forgetDeadline);
    },
  };
}

/** The posts that have waited longest, at least one, together at most BATCH_ROWS rows. */
function nextBatch(line: Line): Post[] {
  let count = 0;
  let rows = 0;
  while (
    count < line.waiting.length &&
    (count === 0 || rows + line.waiting[count]!.rows.length <= BATCH_ROWS)
  ) {
    rows += line.waiting[count]!.rows.length;
    count++;
  }
  line.waitingRows -= rows;
  return line.waiting.splice(0, count);
}
