/** Sends requests to the running monitor, for `trunkline status` and `trunkline alerts`. */
import type { Command } from 'commander';
import { listeningAt } from '#platform/http/address.ts';
import { askOutside, type OutsideAnswer } from '#platform/http/outside.ts';
import { readOwnFile } from '#platform/lifecycle/own_files.ts';
import { keyFile } from '../auth.ts';
import type { MonitorCommandParts } from './tools.ts';

/** More than the 15 s that a test of all channels may take. */
const ANSWER_TIMEOUT_MS = 30_000;
const ANSWER_LIMIT_BYTES = 32 * 1024 * 1024;

export interface MonitorOptions {
  readonly url?: string;
  readonly key?: string;
}

/** Adds the options for the monitor's address and key. */
export const withMonitor = (command: Command): Command =>
  command
    .option('--url <url>', 'the monitor (default: MONITOR_PORT on HOST)')
    .option('--key <key>', 'its key (default: MONITOR_KEY, or the one in DATA_DIR/monitor)');

/** The `data` of its answer. @throws Error with the message of a refusal, or the reason why there is no key */
export async function askMonitor(
  method: 'GET' | 'POST',
  path: string,
  options: MonitorOptions,
  { settings, folder }: MonitorCommandParts,
  limitMs = ANSWER_TIMEOUT_MS,
): Promise<unknown> {
  const monitor = options.url ?? listeningAt(settings.host, settings.port);
  const url = new URL(path, monitor).href;
  const key = options.key ?? settings.key ?? (await keptKey(keyFile(folder)));
  const headers = { authorization: `Bearer ${key}` };
  const asking = { method, headers, limitMs, limitBytes: ANSWER_LIMIT_BYTES, longer: 'refuse' } as const;
  const answer = await askOutside(url, asking).catch((cause: unknown) => {
    throw new Error(
      `no monitor answers at ${monitor}: start it (trunkline serve monitor), set MONITOR_PORT as it was started with, or give --url`,
      { cause },
    );
  });
  const { data, error } = bodyOf(answer);
  if (!answer.ok || data === undefined)
    throw new Error(`${url} answers ${answer.status}${error === undefined ? '' : `: ${error}`}`);
  return data;
}

function bodyOf({ text }: OutsideAnswer): { data?: unknown; error?: string } {
  try {
    return JSON.parse(text);
  } catch {
    return { error: 'this is not a monitor' };
  }
}

async function keptKey(path: string): Promise<string> {
  try {
    return (await readOwnFile(path, { secret: true })).trim();
  } catch (cause) {
    throw new Error(`no key of the monitor: give --key, set MONITOR_KEY, or make ${path} readable`, {
      cause,
    });
  }
}
