/**
 * The quarantine keeps a rejected row with its bytes, until a row with the same content is stored: under any name of its
 * file, at any place in it, and by any way in. The place of a row identifies nothing: files are rotated, and the lines of a
 * pipe belong to whatever came through it.
 */
import { hash } from 'node:crypto';
import type { Session } from '#platform/database/session.ts';
import { knownContents, quarantine, takeContents } from '../store/rejected.ts';
import { storable } from '../store/storable.ts';
import type { ImportSource } from './import_source.ts';
import type { RowsOf, RowToReject } from './rows.ts';

const BETWEEN = '\u001f';

/** A row's content: its bytes, under a header. */
export interface Said {
  readonly bytes: Buffer;
  readonly of: RowsOf;
}

/**
 * The key of a rejected row: its source, its header, and its bytes. For a row of which only the first bytes are kept, also
 * its reason, which holds the full length. A provisional row is known only together with its source's end, so that it can
 * be removed with it. (Migration 0006 computes the same keys for older rows.)
 */
function contentOf(source: string, { bytes, of }: Said, ...more: string[]): Buffer {
  const under = `${source}${BETWEEN}${of.columns?.map(storable).join(BETWEEN) ?? ''}${BETWEEN}`;
  return hash(
    'sha256',
    Buffer.concat([Buffer.from(under), bytes, Buffer.from(more.join(BETWEEN))]),
    'buffer',
  );
}

/** For a row as it is kept. */
export const contentOfKept = (row: {
  readonly source: string;
  readonly columns: readonly string[] | null;
  readonly bytes: Buffer;
  readonly cut: boolean;
  readonly reason: string;
  /** Of its source's end, in hexadecimal, if it is provisional. */
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

function contentOfRejected(source: string, { of, row, rejection }: RowToReject): Buffer {
  const more = row.cut ? [storable(rejection.reason)] : [];
  if (!row.ended && of.end) more.push(of.end.fingerprint);
  return contentOf(source, { bytes: row.bytes, of }, ...more);
}

/** The outcome of a rejected row. */
export interface KeptRejection {
  readonly iRejected: number;
  /** It was rejected before, whatever happened to it since. */
  readonly isKnown: boolean;
}

/** @returns for each of the rows, in order */
export async function keepRejected(
  session: Session,
  importSource: ImportSource,
  rows: readonly RowToReject[],
): Promise<KeptRejection[]> {
  const contents = rows.map((row) => contentOfRejected(importSource.source, row));
  const names = contents.map((content) => content.toString('hex'));
  // Rows with the same content are kept once, with the newest reason.
  const byName = new Map(rows.map((row, index) => [names[index]!, { ...row, content: contents[index]! }]));
  const kept = new Map<string, KeptRejection>();
  // Each post counts as activity of its switch; a file may be read again and again.
  const isPost = importSource.file.startsWith('POST ');
  for (const [columns, its] of Map.groupBy(byName.values(), ({ of }) => of.columns)) {
    for (const { content, i_rejected: iRejected, is_new: isNew } of await session.rows(
      quarantine(importSource.iImport, importSource.source, columns, isPost, its),
    ))
      kept.set(content, { iRejected, isKnown: !isNew });
  }
  return names.map((name) => kept.get(name)!);
}

/** Which rows of a dry run would be known as rejected. @param earlier contents that its earlier batches would keep; grows */
export async function knownRejectedOf(
  session: Session,
  source: string,
  rows: readonly RowToReject[],
  earlier: Set<string>,
): Promise<RowToReject[]> {
  const contents = rows.map((row) => contentOfRejected(source, row));
  const kept = new Set((await session.rows(knownContents(contents))).map(({ content }) => content));
  const names = contents.map((content) => content.toString('hex'));
  const known = rows.filter((_, index) => kept.has(names[index]!) || earlier.has(names[index]!));
  for (const name of names) earlier.add(name);
  return known;
}

/** Drops rejected rows that are stored now. */
export async function dropTaken(
  session: Session,
  importSource: ImportSource,
  rows: Iterable<Said>,
): Promise<void> {
  const { quarantinedLengths } = importSource;
  if (quarantinedLengths?.size === 0) return;
  const contents: Buffer[] = [];
  for (const said of rows)
    if (quarantinedLengths?.has(said.bytes.length) ?? true)
      contents.push(contentOf(importSource.source, said));
  if (contents.length > 0) await session.run(takeContents(importSource.iImport, contents));
}
