/** Where rows come from, as the database keeps it: one row of calls.imports. */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { beginImport, findImport, type NewAccounts } from '../store/intake.ts';
import { hasRejected } from '../store/rejected.ts';
import type { Origin } from './intake.ts';
import { storable } from './storable.ts';

export interface OriginOptions {
  /** Absolute path, 'stdin', or the route that took the rows. */
  readonly file: string;
  readonly format: string;
  readonly source: string;
  /** How rows are read; kept, so that a row that was set aside can be read again alone. */
  readonly readOptions: object;
  readonly newAccounts: Omit<NewAccounts, 'codes'> | null;
}

/** A file that is read now: an import of its own. */
export function openFileOrigin(pool: Pool, given: OriginOptions): Promise<Origin> {
  const options = asStorable(given);
  return withTransaction(pool, async (session) => {
    const begun = await session.row(
      beginImport(options.file, options.format, options.source, options.readOptions),
    );
    const rejected = await session.row(hasRejected(options.file));
    return originOf(begun!.i_import, options, rejected!.found);
  });
}

/** A switch that posts: one import for all its posts, made by the first. */
export function openPostOrigin(pool: Pool, given: OriginOptions, signal?: AbortSignal): Promise<Origin> {
  const options = asStorable(given);
  const open = async (session: Session) => {
    const found =
      (await session.row(findImport(options.file, options.format, options.source))) ??
      (await session.row(beginImport(options.file, options.format, options.source, options.readOptions)));
    return originOf(found!.i_import, options, false);
  };
  return withTransaction(pool, open, { signal });
}

const asStorable = (options: OriginOptions): OriginOptions => ({
  ...options,
  file: storable(options.file),
  source: storable(options.source),
});

/**
 * Lines of a file name its rows, so a line that is taken in drops what was set aside of it. Lines of posts are only
 * places in their arrays: theirs are dropped by a retry.
 */
function originOf(iImport: number, options: OriginOptions, rejectedBefore: boolean): Origin {
  const { source, file, newAccounts } = options;
  return { iImport, source, file, newAccounts, hasRejected: rejectedBefore };
}
