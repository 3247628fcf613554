/** A progress line of a long command: rewritten in place on a terminal, one line a second elsewhere. */
import { draw } from './print.ts';

const TERMINAL_EVERY_MS = 100;
const LINE_EVERY_MS = 1_000;

/**
 * @param text the text to show now, `printable`; '' for nothing yet
 * @returns ends the progress line
 */
export function showRunning(out: NodeJS.WriteStream, text: () => string): () => void {
  let shown = '';
  const show = () => {
    const line = text();
    if (line === '') return;
    draw(out.isTTY ? `\r\x1b[K${line}` : `${line}\n`, out);
    shown = line;
  };
  const showing = setInterval(show, out.isTTY ? TERMINAL_EVERY_MS : LINE_EVERY_MS);
  showing.unref();
  return () => {
    clearInterval(showing);
    if (out.isTTY) draw('\r\x1b[K', out);
    // Otherwise the last line would show some moment before the end.
    else if (shown !== '' && shown !== text()) show();
  };
}

/** 1234567 bytes as "1.2 MB". */
export const megabytes = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
