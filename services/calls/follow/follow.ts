/**
 * Follows sources: each file or folder in a loop of its own, by one process at a time, as long as the program runs. A
 * failure is logged and retried from the place up to which rows are stored. Only the signal ends a loop.
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { errorText } from '#platform/telemetry/error_text.ts';
import { addCounts, type ImportCounts, newCounts } from '../intake/import_counts.ts';
import type { ImportOptions } from '../intake/import_file.ts';
import type { Room } from '../intake/room.ts';
import {
  addGap,
  holderOf,
  keepSource,
  leaveSource,
  noteRows,
  type SourceState,
  takeSource,
} from '../store/followed.ts';
import { createBell } from './bell.ts';
import { createFileSource } from './file_source.ts';
import { createFolderSource } from './folder_source.ts';
import type { Follower } from './follower.ts';
import { holderWords, isDead, machineOf, newHolder } from './machine.ts';
import { GATHER_MS, LeaseLostError, POLL_MS } from './read_content.ts';
import { GAP_MS } from './silence.ts';
import type { After } from './sources.ts';

/** How often a reader renews its lease and reports its state. A lease lasts longer (store/followed.ts). */
const KEEP_MS = 4_000;
/** How often a process that waits for another reader's source tries to take it. */
const TAKE_MS = 2_000;
/** The first and the last delay of a retry after a failure. */
const RETRY_MS = 500;
const MAX_RETRY_MS = 5_000;
const WATCH_RETRY_MS = 5_000;

/** A source, and the options for its rows. */
export interface Following {
  /** Absolute. */
  readonly path: string;
  readonly after: After;
  readonly options: ImportOptions;
}

export interface FollowNeeds {
  readonly pool: Pool;
  readonly clock: Clock;
  /** Sources wait while there is a shortage. Undefined: free space is unknown. */
  readonly room?: Room | undefined;
  /** Logs a warning for the operator. */
  readonly warn: (path: string, words: string) => void;
  /** After each batch. */
  readonly onStored?: (path: string) => void;
}

/** A source's state, as its own process knows it. */
export interface SourceStatus extends SourceState {
  readonly path: string;
  /** Whether this process holds the source now. */
  readonly isReader: boolean;
  /** Bytes of rows that were read since the start, repeated reads included. */
  readonly bytesRead: number;
  readonly counts: ImportCounts;
}

export interface FollowedSources {
  readonly statuses: readonly SourceStatus[];
  /** Resolves once the signal was aborted, all rows that were read whole are stored, and every source is released. */
  readonly done: Promise<void>;
}

/** Begins to follow the sources, until the signal is aborted. */
export function followSources(
  needs: FollowNeeds,
  sources: readonly Following[],
  signal: AbortSignal,
): FollowedSources {
  const loops = sources.map((source) => createLoop(needs, source));
  return {
    get statuses() {
      return loops.map((loop) => loop.status());
    },
    done: Promise.all(loops.map((loop) => loop.run(signal))).then(() => undefined),
  };
}

function createLoop(needs: FollowNeeds, { path, after, options }: Following) {
  const { pool, clock, room } = needs;
  const bell = createBell(clock);
  const hints = bell.listener();
  const holder = newHolder();
  const counts = newCounts();
  let bytesRead = 0;
  let iSource: number | undefined;
  let follower: Follower | undefined;
  let trouble = '';
  let waiting = '';
  let toldShortage = '';
  let retryMs = RETRY_MS;
  let keptAt = Number.NEGATIVE_INFINITY;
  let watcher: FSWatcher | undefined;
  let watchedAt = Number.NEGATIVE_INFINITY;
  /** When the last row was written that this process has seen, milliseconds since 1970. */
  let lastRowAt: number | undefined;
  let nextLastRowAt: number | undefined;
  /** The same, as stored by an earlier process. */
  let toldRowAt: number | undefined;

  const status = (): SourceStatus => {
    const failing = trouble || (follower?.trouble ?? '');
    const waits = waiting || (iSource === undefined ? '' : (room?.shortage ?? ''));
    return {
      path,
      isReader: iSource !== undefined,
      state: failing ? 'failing' : waits ? 'waiting' : 'following',
      detail: failing || waits,
      bytesBehind: follower?.bytesBehind ?? 0,
      bytesRead: bytesRead + (follower?.bytesRead ?? 0),
      counts,
    };
  };

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await step();
        if (trouble) needs.warn(path, 'is read again');
        trouble = '';
        retryMs = RETRY_MS;
        tellShortage();
        await hints.wait(iSource === undefined ? TAKE_MS : POLL_MS, signal);
        await clock.sleep(GATHER_MS, signal).catch(() => undefined);
      } catch (error) {
        await stopReading();
        if (error instanceof LeaseLostError) {
          iSource = undefined;
          continue;
        }
        const words = errorText(error);
        if (words !== trouble && !signal.aborted) needs.warn(path, words);
        trouble = words;
        await tell().catch(() => undefined);
        await clock.sleep(retryMs, signal).catch(() => undefined);
        retryMs = Math.min(MAX_RETRY_MS, retryMs * 2);
      }
    }
    watcher?.close();
    await stopReading();
    const left = iSource;
    if (left !== undefined)
      await withSession(pool, async (session) => {
        await session.run(keepSource(left, holder, status()));
        await session.run(leaveSource(left, holder));
      }).catch(() => undefined);
  }

  async function step(): Promise<void> {
    if (iSource === undefined) iSource = await take();
    if (iSource === undefined) return;
    if (clock.monotonic() - keptAt >= KEEP_MS) await tell();
    follower ??= await begin(iSource);
    if (!follower) return;
    watchFolder(follower.folder);
    await follower.look();
    waiting = follower.isThere ? '' : 'there is nothing at this path yet';
  }

  function tellShortage(): void {
    const shortage = room?.shortage ?? '';
    if (iSource === undefined || (shortage === '') === (toldShortage === '')) return;
    toldShortage = shortage;
    needs.warn(path, shortage ? `waits: ${shortage}` : 'goes on: there is room again');
  }

  /** Takes the source, unless another process has it. */
  async function take(): Promise<number | undefined> {
    const machine = await machineOf(path);
    const source = { machine, path, timeZone: options.read.timeZone };
    const taken = await withSession(pool, async (session) => {
      const free = await session.row(takeSource(source, holder, null));
      if (free) return free;
      const other = (await session.row(holderOf(machine, path)))?.holder ?? '';
      waiting = `${holderWords(other)} reads it`;
      return isDead(other) ? session.row(takeSource(source, holder, other)) : undefined;
    });
    if (!taken) return undefined;
    waiting = '';
    keptAt = clock.monotonic();
    toldRowAt = taken.last_row_at === null ? undefined : Date.parse(taken.last_row_at);
    return taken.i_source;
  }

  async function tell(): Promise<void> {
    const kept = iSource;
    if (kept === undefined) return;
    const rows = await withSession(pool, (session) => session.run(keepSource(kept, holder, status())));
    if (rows === 0) throw new LeaseLostError('another process reads the source by now');
    keptAt = clock.monotonic();
  }

  /** Finds out whether the path is a file or a folder. Documents can be moved or deleted only in a folder. */
  async function begin(source: number): Promise<Follower | undefined> {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (!found && after.kind !== 'keep') {
      waiting = 'there is no such folder yet';
      return undefined;
    }
    // No rows were written while no process was following.
    if (found?.isFile() && toldRowAt !== undefined && found.mtimeMs <= toldRowAt + 1) lastRowAt = toldRowAt;
    const contentNeeds = {
      ...{ pool, clock, holder, options, path, bell, onRows },
      waitForRoom: (signal: AbortSignal) => room?.wait(signal) ?? Promise.resolve(),
      iSource: source,
      onProgress: (before: ImportCounts | undefined, now: ImportCounts) => {
        addCounts(counts, now, before);
        lastRowAt = nextLastRowAt;
        needs.onStored?.(path);
      },
      warn: (words: string) => needs.warn(path, words),
    };
    if (found?.isDirectory()) return createFolderSource({ ...contentNeeds, after });
    if (after.kind !== 'keep')
      throw new Error(`"after" is for the documents of a folder, and ${path} is a file: it must be "keep"`);
    return createFileSource(contentNeeds);
  }

  /** Notes in a batch's transaction that rows came, and the length of the silence before. */
  async function onRows(session: Session, rows: number, writtenAt: number): Promise<void> {
    const at = Math.min(clock.now(), writtenAt);
    // Time before this process looked is no gap of the source's.
    if (lastRowAt !== undefined && at - lastRowAt >= GAP_MS)
      await session.run(addGap(iSource!, lastRowAt, at));
    nextLastRowAt = Math.max(Math.min(lastRowAt ?? at, clock.now()), at);
    await session.run(noteRows(iSource!, rows, at));
  }

  /** Rings on a hint from the file system, if it gives any. The next look finds changes without a hint. */
  function watchFolder(folder: string): void {
    if (watcher || clock.monotonic() - watchedAt < WATCH_RETRY_MS) return;
    watchedAt = clock.monotonic();
    const own = basename(path);
    const forget = () => {
      watcher?.close();
      watcher = undefined;
    };
    try {
      watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (folder === path || name === null || name.startsWith(own)) bell.ring();
      });
      watcher.on('error', forget).on('close', () => {
        watcher = undefined;
      });
    } catch {
      forget();
    }
  }

  async function stopReading(): Promise<void> {
    const stopped = follower;
    follower = undefined;
    await stopped?.stop().catch(() => undefined);
    bytesRead += stopped?.bytesRead ?? 0;
    toldRowAt = lastRowAt;
    lastRowAt = undefined;
  }

  return { run, status };
}
