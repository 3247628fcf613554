/** An import's progress: a bar on a terminal, one line a second elsewhere. */
import { basename } from 'node:path';
import { printable } from '#platform/telemetry/printable.ts';
import { draw, grouped } from '#platform/terminal/print.ts';
import type { ImportCounts } from '../intake/import_counts.ts';
import type { OpenedSource, SourceFile } from '../intake/source_files.ts';

export interface Progress {
  /** A file is being read: the first of an import, or its next one. */
  begin(source: SourceFile, opened: OpenedSource): void;
  /** Announces the format, once for successive files of the same format. */
  announce(format: string, words: string): void;
  /** A line for people, between those of the progress. */
  tell(words: string): void;
  update(counts: ImportCounts): void;
  /** The current import is done. */
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
  let lastFormat = '';
  let barShown = false;

  const name = () => (current ? printable(basename(current.source.name)) : '');
  const clear = () => {
    if (barShown) draw('\r\x1b[K', out);
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
      draw(`${name()} ${percent} ${figures}\n`, out);
      return;
    }
    const filled = Math.round((share ?? 0) * BAR_WIDTH);
    const bar = share === undefined ? '' : `[${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}]`;
    draw(`\r\x1b[K${bar}${percent}  ${figures}`, out);
    barShown = true;
  };

  const endFile = () => {
    doneBytes += current?.opened.bytesRead() ?? 0;
    current = undefined;
  };

  // By the clock, not by batches: a file of few, large or skipped rows shows progress as well.
  const showing = setInterval(() => current && show(), out.isTTY ? TERMINAL_EVERY_MS : LINE_EVERY_MS);
  showing.unref();

  return {
    begin: (source, opened) => {
      endFile();
      current = { source, opened };
    },
    announce: (format, words) => {
      if (format === lastFormat) return;
      lastFormat = format;
      clear();
      draw(`${name()}: ${printable(words)}\n`, out);
    },
    tell: (words) => {
      clear();
      draw(`${printable(words)}\n`, out);
    },
    update: (counts) => {
      rows = counts.read;
    },
    finish: () => {
      endFile();
      doneRows += rows;
      rows = 0;
    },
    end: () => {
      clearInterval(showing);
      clear();
    },
  };
}
