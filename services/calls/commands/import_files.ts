/** Reads the files of `import cdrs`, one after the other; those of a folder as one import. */
import { statSync } from 'node:fs';
import type { CommandDatabase } from '#platform/service/commands.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { endedBy } from '#platform/terminal/ending_signals.ts';
import { explainFailure } from '#platform/terminal/failure.ts';
import { FORMATS, type FormatName } from '../formats/formats.ts';
import { type DryRun, dryRun } from '../intake/dry_run.ts';
import { addCounts, type ImportCounts, newCounts } from '../intake/import_counts.ts';
import { type FolderEvents, type ImportOptions, importFolder, importOpened } from '../intake/import_file.ts';
import { isMendedFile, readMendedFile, takeInMended } from '../intake/mended_rows.ts';
import { type OpenedSource, openSourceFile, type SourceFile } from '../intake/source_files.ts';
import type { Progress } from './import_progress.ts';

/** The most attempts to read a file that another import reads at the same time. */
const MOST_TIMES = 3;

interface Imported {
  readonly total: ImportCounts;
  /** A sentence each. */
  readonly failures: string[];
}

/** A failing file does not stop the others. */
export async function importFiles(
  { pool }: CommandDatabase,
  sources: readonly SourceFile[],
  settings: ImportOptions,
  options: { readonly dryRun?: true },
  progress: Progress,
): Promise<Imported> {
  const total = newCounts();
  const failures: string[] = [];
  const onFailure = (name: string, error: unknown) =>
    failures.push(`${printable(name)}: ${endedBy() ? 'not read to its end' : explainFailure(error)}`);
  const open = async (source: SourceFile) => {
    const opened = await openSourceFile(source, process.stdin);
    progress.begin(source, opened);
    return opened;
  };

  /** @returns whether to read the file again */
  async function importGroup(group: readonly SourceFile[], dry: DryRun | undefined): Promise<boolean> {
    const { name, folder } = group[0]!;
    let counts = newCounts();
    let isRaced = false;
    const events: FolderEvents = {
      onFormat: (format: FormatName, why: string) =>
        progress.announce(
          format,
          `${FORMATS[format].title}: ${why}; stamps without a zone are read as ${settings.read.timeZone}`,
        ),
      onProgress: (now: ImportCounts) => {
        counts = now;
        progress.update(now);
      },
      onFailure,
    };
    function* files() {
      for (const source of group) {
        if (endedBy()) return;
        yield { name: source.name, open: () => open(source) };
      }
    }
    try {
      if (folder === undefined) {
        const opened = await open(group[0]!);
        if (isMendedFile(opened.head)) counts = await importMended(opened, dry);
        else {
          events.onMetOthers = (ifGrown) => {
            isRaced = !ifGrown || sizeOf(name) > opened.bytesRead();
          };
          await importOpened(pool, name, opened, settings, events, dry);
        }
      } else await importFolder(pool, folder, files(), settings, events, dry);
    } catch (error) {
      onFailure(folder ?? name, error);
    }
    // Also for an import that broke off: the rows stored until then stay.
    addCounts(total, counts);
    progress.finish();
    return isRaced;
  }

  async function importMended(opened: OpenedSource, dry: DryRun | undefined): Promise<ImportCounts> {
    if (dry) throw new Error('rows that were exported for mending cannot be read with --dry-run');
    progress.announce('mended', 'rejected rows, each read with the options of its first import');
    // Each row has the zone and mapping of its file.
    const { timeZone: _, mapping: __, ...read } = settings.read;
    const { newAccounts } = settings;
    const rows = readMendedFile(opened.chunks);
    const { counts, gone } = await takeInMended(pool, rows, { read, newAccounts }, progress.update);
    if (gone > 0) progress.tell(`${gone} of the rows were imported or discarded before`);
    return counts;
  }

  const importAll = async (dry?: DryRun) => {
    for (const group of groupByFolder(sources)) {
      for (let time = 1; !endedBy() && (await importGroup(group, dry)) && time < MOST_TIMES; time++);
    }
  };
  await (options.dryRun ? dryRun(pool, importAll) : importAll());
  return { total, failures };
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Files of a folder together, other files alone. */
function groupByFolder(sources: readonly SourceFile[]): SourceFile[][] {
  const groups: SourceFile[][] = [];
  for (const source of sources) {
    const last = groups.at(-1);
    if (source.folder !== undefined && last?.[0]?.folder === source.folder) last.push(source);
    else groups.push([source]);
  }
  return groups;
}
