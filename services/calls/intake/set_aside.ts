/**
 * What can't be taken in is kept with its bytes, and goes when a row that says the same is taken in: whatever its file is
 * called by then, wherever it stands in it, and however it comes. Where a row stood says nothing: files are rotated,
 * and the lines of a pipe are those of whatever came through it.
 */
import { hash } from 'node:crypto';
import type { Session } from '#platform/database/session.ts';
import { setAside, takeContents } from '../store/rejected.ts';
import { storable } from '../store/storable.ts';
import type { Origin } from './origin.ts';
import type { AsideRow, RowsOf } from './rows.ts';

const BETWEEN = '\u001f';

/** What a row says: its bytes, under a header. */
export interface Said {
  readonly bytes: Buffer;
  readonly of: RowsOf;
}

/**
 * What a row that was set aside is known by: its source, the header that it stood under, and its bytes. Of one of which
 * only the first bytes are kept, also its reason, which tells how many there were. A provisional one is known to its
 * source's end alone, so that it can go with it. (Migration 0006 makes the same for rows of before.)
 */
function contentOf(source: string, { bytes, of }: Said, ...more: string[]): Buffer {
  const under = `${source}${BETWEEN}${of.columns?.map(storable).join(BETWEEN) ?? ''}${BETWEEN}`;
  return hash(
    'sha256',
    Buffer.concat([Buffer.from(under), bytes, Buffer.from(more.join(BETWEEN))]),
    'buffer',
  );
}

/** Of a row as it is kept. */
export const contentOfKept = (row: {
  readonly source: string;
  readonly columns: readonly string[] | null;
  readonly bytes: Buffer;
  readonly cut: boolean;
  readonly reason: string;
  /** Of its source's end, in hexadecimal, where it is provisional. */
  readonly fingerprint: string | null;
}): Buffer => {
  const said = { bytes: row.bytes, of: { file: '', columns: row.columns } };
  return contentOf(
    row.source,
    said,
    ...(row.cut ? [row.reason] : []),
    ...(row.fingerprint ? [row.fingerprint] : []),
  );
};

function contentOfAside(source: string, { of, row, rejection }: AsideRow): Buffer {
  const more = row.cut ? [storable(rejection.reason)] : [];
  if (!row.ended && of.end) more.push(of.end.fingerprint);
  return contentOf(source, { bytes: row.bytes, of }, ...more);
}

/** What became of a row that was set aside. */
export interface KeptAside {
  readonly iRejected: number;
  /** It was set aside before, whatever became of it since. */
  readonly isKnown: boolean;
}

/** @returns for each of the rows, in order */
export async function keepAside(
  session: Session,
  origin: Origin,
  rows: readonly AsideRow[],
): Promise<KeptAside[]> {
  const contents = rows.map((row) => contentOfAside(origin.source, row));
  const names = contents.map((content) => content.toString('hex'));
  // What says the same is kept once, with the newest reason.
  const byName = new Map(rows.map((row, index) => [names[index]!, { ...row, content: contents[index]! }]));
  const kept = new Map<string, KeptAside>();
  // Each post tells of its switch; a file may be read again and again.
  const isPost = origin.file.startsWith('POST ');
  for (const [columns, its] of Map.groupBy(byName.values(), ({ of }) => of.columns)) {
    for (const { content, i_rejected: iRejected, is_new: isNew } of await session.rows(
      setAside(origin.iImport, origin.source, columns, isPost, its),
    ))
      kept.set(content, { iRejected, isKnown: !isNew });
  }
  return names.map((name) => kept.get(name)!);
}

/** Drops what was set aside of rows that are taken in now. */
export async function dropTaken(session: Session, origin: Origin, rows: Iterable<Said>): Promise<void> {
  const { asideLengths } = origin;
  if (asideLengths?.size === 0) return;
  const contents: Buffer[] = [];
  for (const said of rows)
    if (asideLengths?.has(said.bytes.length) ?? true) contents.push(contentOf(origin.source, said));
  if (contents.length > 0) await session.run(takeContents(origin.iImport, contents));
}
