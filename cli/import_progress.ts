/** How an import shows that it goes on: a bar on a terminal, one line a second elsewhere. */
import { basename } from 'node:path';
import type { ImportCounts } from '#services/calls/intake/import_file.ts';
import type { OpenedSource, SourceFile } from '#services/calls/intake/source_files.ts';
import { grouped } from './print.ts';

export interface Progress {
  begin(source: SourceFile, opened: OpenedSource): void;
  /** Says what the format is; once for files in a row that have the same. */
  announce(format: string, words: string): void;
  update(counts: ImportCounts): void;
  /** The current source is done. */
  finish(): void;
  end(): void;
}

const TERMINAL_EVERY_MS = 100;
const LINE_EVERY_MS = 1_000;
const BAR_WIDTH = 24;

export function createProgress(out: NodeJS.WriteStream, sources: readonly SourceFile[]): Progress {
  const total = sources.every((s) => s.size !== undefined)
    ? sources.reduce((sum, s) => sum + s.size!, 0)
    : undefined;
  const started = performance.now();
  let current: { source: SourceFile; opened: OpenedSource } | undefined;
  let doneBytes = 0;
  let doneRows = 0;
  let rows = 0;
  let lastShown = started;
  let lastFormat = '';
  let barShown = false;

  const clear = () => {
    if (barShown) out.write('\r\x1b[K');
    barShown = false;
  };
  const show = () => {
    const seconds = Math.max(0.001, (performance.now() - started) / 1000);
    const bytes = doneBytes + (current?.opened.bytesRead() ?? 0);
    const share = total ? Math.min(1, bytes / total) : undefined;
    const read = doneRows + rows;
    const figures = `${grouped(read)} rows  ${grouped(read / seconds)}/s`;
    const percent = share === undefined ? '' : `${Math.floor(share * 100)}%`.padStart(4);
    if (!out.isTTY) {
      out.write(`${current ? basename(current.source.name) : ''} ${percent} ${figures}\n`);
      return;
    }
    const filled = Math.round((share ?? 0) * BAR_WIDTH);
    const bar = share === undefined ? '' : `[${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}]`;
    out.write(`\r\x1b[K${bar}${percent}  ${figures}`);
    barShown = true;
  };

  return {
    begin: (source, opened) => {
      current = { source, opened };
      rows = 0;
    },
    announce: (format, words) => {
      if (format === lastFormat) return;
      lastFormat = format;
      clear();
      out.write(`${current ? basename(current.source.name) : ''}: ${words}\n`);
    },
    update: (counts) => {
      rows = counts.read;
      const now = performance.now();
      if (now - lastShown < (out.isTTY ? TERMINAL_EVERY_MS : LINE_EVERY_MS)) return;
      lastShown = now;
      show();
    },
    finish: () => {
      doneBytes += current?.opened.bytesRead() ?? 0;
      doneRows += rows;
      rows = 0;
      current = undefined;
    },
    end: clear,
  };
}
