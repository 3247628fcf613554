/** Documents that a switch has dropped into a folder: finds whole ones, and moves or deletes stored ones. */
import { constants } from 'node:fs';
import { access, copyFile, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readAt } from './content.ts';
import { ROW_SILENCE_MS } from './next_step.ts';
import type { After } from './sources.ts';

/** Its state at the last look through the folder. */
export interface Document {
  readonly name: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Differs where the file is another one, or has changed. */
  readonly version: string;
}

/** A document that has a whole one's end and is unchanged for this long is whole. */
const STABLE_MS = 400;
/** A gzip does not show its end. One that is unchanged for this long counts as whole. */
const PACKED_SILENCE_MS = 2_000;
/** Enough bytes to see a document's end, with blank lines behind it. */
const END_BYTES = 256;
const DOCUMENT_END = /[}\]>]\s*$|%7D\s*$/i;
const LINE_END = /[\r\n]$/;

/** @returns undefined where there is no such name, or it is no file */
export async function documentAt(folder: string, name: string): Promise<Document | undefined> {
  const found = await stat(join(folder, name), { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (!found?.isFile()) return undefined;
  const { ino, size, mtimeNs } = found;
  const version = `${ino}:${size}:${mtimeNs}`;
  return { name, size: Number(size), modifiedAt: Number(mtimeNs) / 1e6, version };
}

/**
 * - `whole`: it has a whole document's end, and has not changed for a moment
 * - `silent`: it has no such end, but has not been written to for a minute
 * - `open`: more may come
 * @param silentMs how long it has been in its present state
 */
export async function judge(
  folder: string,
  { name, size }: Document,
  silentMs: number,
): Promise<'whole' | 'silent' | 'open'> {
  if (size === 0) return 'open';
  if (silentMs >= ROW_SILENCE_MS) return 'silent';
  if (silentMs < STABLE_MS) return 'open';
  if (/\.gz$/i.test(name)) return silentMs >= PACKED_SILENCE_MS ? 'whole' : 'open';
  const handle = await open(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (!handle) return 'open';
  try {
    const end = (await readAt(handle, Math.max(0, size - END_BYTES), END_BYTES)).toString('latin1');
    const isDocument = /\.(?:json|xml)\b/i.test(name);
    return (isDocument ? DOCUMENT_END : LINE_END).test(end) ? 'whole' : 'open';
  } finally {
    await handle.close();
  }
}

/**
 * Moves or deletes a document whose rows are committed.
 * @returns false where it must stay: it has changed since it was read
 */
export async function putAway(folder: string, document: Document, after: After): Promise<boolean> {
  const now = await documentAt(folder, document.name);
  if (!now) return true;
  if (after.kind === 'keep' || now.version !== document.version) return false;
  const from = join(folder, document.name);
  if (after.kind === 'delete') await rm(from);
  else await moveInto(after.folder, from, document.name);
  return true;
}

/** Moves it to a free name there: no file is overwritten. */
async function moveInto(folder: string, from: string, name: string): Promise<void> {
  let to = join(folder, name);
  for (let number = 1; await isThere(to); number++) to = join(folder, `${name}.${number}`);
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    // On another disk: the file is there whole, or not at all.
    const draft = join(folder, `.${name}.part`);
    await copyFile(from, draft);
    const copy = await open(draft, 'r+');
    await copy.sync().finally(() => copy.close());
    await rename(draft, to);
    await rm(from);
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
