/** Asks the running monitor, as `trunkline status` and `trunkline alerts` do. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { readConfig } from '#config';
import { keyFile } from '#services/monitor/auth.ts';
import { monitorFolder, reachableHost } from '#system';

/** A test of all channels takes 15 s at most. */
const ANSWER_TIMEOUT_MS = 30_000;

export interface MonitorOptions {
  readonly url?: string;
  readonly key?: string;
}

/** Adds the options that say which monitor is asked. */
export const withMonitor = (command: Command): Command =>
  command
    .option('--url <url>', 'the monitor (default: MONITOR_PORT on HOST)')
    .option('--key <key>', 'its key (default: MONITOR_KEY, or the one in DATA_DIR/monitor)');

/** The `data` of its answer. @throws Error with the words of a refusal, or why there is no key */
export async function askMonitor(
  method: 'GET' | 'POST',
  path: string,
  options: MonitorOptions,
): Promise<unknown> {
  const config = readConfig(process.env);
  const monitor = options.url ?? `http://${reachableHost(config)}:${config.MONITOR_PORT}`;
  const url = new URL(path, monitor).href;
  const key = options.key ?? config.MONITOR_KEY ?? (await keptKey(keyFile(monitorFolder(config))));
  const headers = { authorization: `Bearer ${key}` };
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const answer = await fetch(url, { method, headers, signal }).catch((cause: unknown) => {
    throw new Error(`no monitor answers at ${monitor}: start it (trunkline serve monitor), or give --url`, {
      cause,
    });
  });
  const body = (await answer.json().catch(() => ({ error: 'this is no monitor' }))) as {
    data?: unknown;
    error?: string;
  };
  if (!answer.ok || body.data === undefined)
    throw new Error(`${url} answers ${answer.status}: ${body.error ?? answer.statusText}`);
  return body.data;
}

async function keptKey(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new Error(`no key of the monitor: give --key, set MONITOR_KEY, or be able to read ${path}`, {
      cause,
    });
  }
}
