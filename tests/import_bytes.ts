/** Imports of bytes that stand for files, without a disk. */
import type { Pool } from '#platform/database/pool.ts';
import type { SourceOptions } from '#services/calls/formats/source_reader.ts';
import { asUtf8, utf16Of } from '#services/calls/intake/encodings.ts';
import type { ImportCounts } from '#services/calls/intake/import_counts.ts';
import { type ImportOptions, importFolder, importOpened } from '#services/calls/intake/import_file.ts';
import type { OpenedSource } from '#services/calls/intake/source_files.ts';

export interface BytesImport {
  readonly source?: string;
  readonly file?: string;
  readonly read?: Partial<SourceOptions> | undefined;
  /** What has come through a pipe. */
  readonly isStream?: boolean;
  readonly newAccounts?: ImportOptions['newAccounts'];
}

/** As little as pipes give; of large files no more pieces than these. */
const CHUNK_BYTES = 100;
const MAX_CHUNKS = 200;

async function openBytes(bytes: Buffer, isStream = false): Promise<OpenedSource> {
  const size = Math.max(CHUNK_BYTES, Math.ceil(bytes.length / MAX_CHUNKS));
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const encoding = utf16Of(bytes);
  const text = encoding ? asUtf8(chunks(), encoding) : chunks();
  const pieces: Buffer[] = [];
  for await (const piece of text) pieces.push(piece);
  return {
    head: Buffer.concat(pieces),
    chunks: (async function* () {
      yield* pieces;
    })(),
    isStream,
    bytesRead: () => bytes.length,
  };
}

/** Accounts are made as they come, in EUR and UTC, unless told otherwise. */
const optionsOf = ({ source, read, newAccounts }: BytesImport): ImportOptions => ({
  format: read?.mapping ? 'mapped' : undefined,
  source,
  read: { timeZone: 'Europe/Berlin', ...read },
  newAccounts: newAccounts === undefined ? { currency: 'EUR', timeZone: 'UTC', country: 'DE' } : newAccounts,
});

/** PostgreSQL's errors have a code, and are none of the file. */
function orThrow(error: unknown): null {
  if ((error as { code?: string }).code !== undefined) throw error;
  return null;
}

const QUIET = { onFormat: () => undefined, onProgress: () => undefined };

/** @returns null where the file can't be read, as one whose header is cut */
export async function importBytes(
  pool: Pool,
  bytes: Buffer,
  how: BytesImport = {},
): Promise<ImportCounts | null> {
  const opened = await openBytes(bytes, how.isStream);
  return importOpened(pool, how.file ?? '/var/log/cdr', opened, optionsOf(how), QUIET).catch(orThrow);
}

/** As files of one folder; those that can't be read are passed over. */
export function importManyBytes(
  pool: Pool,
  files: ReadonlyMap<string, Buffer>,
  how: BytesImport = {},
): Promise<ImportCounts> {
  const opened = [...files].map(([name, bytes]) => ({ name, open: () => openBytes(bytes) }));
  const onFailure = (_: string, error: unknown) => void orThrow(error);
  return importFolder(pool, '/var/log', opened, optionsOf(how), { ...QUIET, onFailure });
}
