/** `trunkline top`: the dashboard in the terminal, live. */
import { Command } from 'commander';
import { askOutside, eventsOutside, StatusError } from '#platform/http/outside.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { onEndingSignal } from '#platform/terminal/ending_signals.ts';
import { explainFailure } from '#platform/terminal/failure.ts';
import { draw, printJson } from '#platform/terminal/print.ts';
import type { CallsReport } from '#services/calls/contract.ts';
import type { Part, Topology } from '../topology_parts.ts';
import { renderDashboard } from './dashboard.ts';
import { askMonitor } from './monitor_client.ts';
import type { MonitorCommandParts, MonitorTools } from './tools.ts';

const RETRY_MS = 1_000;
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_BELOW = '\x1b[J';
const CLEAR_LINE_END = '\x1b[K';
const ESCAPE = '\x1b';
/** q, and Ctrl-C, which in a raw terminal is a key. */
const QUIT_KEYS = ['q', 'Q', '\x03'];
const STANDARD_COLUMNS = 80;
/** The service sends a report each second. */
const SILENCE_LIMIT_MS = 5_000;
/** Shorter than a poll of the monitor (10 s), since the monitor polls at once after a change. */
const PARTS_INTERVAL_MS = 2_000;
const PARTS_LIMIT_MS = 2_000;
const REPORT_LIMIT_BYTES = 8 * 1024 * 1024;

interface Options {
  readonly url?: string;
  readonly key?: string;
  readonly once?: true;
  readonly json?: true;
}

export function topCommand({ parts }: MonitorTools): Command {
  return new Command('top')
    .description('the dashboard of a running service, live; q quits')
    .option('--url <url>', 'the service (default: CALLS_PORT on HOST)')
    .option('--key <key>', 'a key of scope operator (default: TRUNKLINE_KEY in the environment)')
    .option('--once', 'print it once and exit')
    .option('--json', 'the figures as JSON, once')
    .addHelpText('after', '\nExample:\n  TRUNKLINE_KEY=tl_… trunkline top --once')
    .action(async (options: Options) => {
      const given = parts();
      const url = options.url ?? given.callsUrl;
      const key = options.key ?? process.env.TRUNKLINE_KEY;
      if (!key)
        throw new Error(
          'top needs a key of scope operator: --key, or TRUNKLINE_KEY in the environment (trunkline keys create makes one)',
        );
      const address = new URL('/monitoring', url).href;
      if (options.json) printJson(await reportOf(address, key));
      else if (options.once || !process.stdout.isTTY)
        draw(
          `${renderDashboard(await reportOf(address, key), { ...screen(), rows: undefined }, await partsHere(options, given)).join('\n')}\n`,
        );
      else await live(address, key, () => partsHere(options, given));
    });
}

/** The size is 0 if the terminal does not know it. */
const screen = () => ({
  columns: process.stdout.columns || STANDARD_COLUMNS,
  rows: process.stdout.rows || undefined,
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR,
});

/**
 * The topology of this installation's monitor; empty if a service of another installation is shown, or no monitor answers.
 * Never rejects.
 */
async function partsHere(
  { url }: Pick<Options, 'url'>,
  given: MonitorCommandParts,
): Promise<readonly Part[]> {
  if (url !== undefined) return [];
  const asked = askMonitor('GET', '/topology', {}, given, PARTS_LIMIT_MS);
  return asked.then(
    (topology) => (topology as Topology).parts,
    () => [],
  );
}

/** The service refuses the request: a retry would not help. */
class AnsweredNoError extends Error {}

async function reportOf(address: string, key: string): Promise<CallsReport> {
  const answer = await askOutside(address, {
    headers: { authorization: `Bearer ${key}` },
    limitMs: SILENCE_LIMIT_MS,
    limitBytes: REPORT_LIMIT_BYTES,
    longer: 'refuse',
  }).catch((cause: unknown) => {
    throw noService(address, cause);
  });
  if (!answer.ok) throw answeredNo(address, answer.status, answer.text);
  return (JSON.parse(answer.text) as { data: CallsReport }).data;
}

const noService = (address: string, cause: unknown) =>
  new Error(
    `no service answers at ${new URL(address).origin}: start it (trunkline up), set CALLS_PORT as it was started with, or give --url`,
    { cause },
  );

function answeredNo(address: string, status: number, text: string): Error {
  const words = /"error":\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  const said = `${address} answers ${status}${words === undefined ? '' : `: ${words}`}`;
  return status < 500 ? new AnsweredNoError(said) : new Error(said);
}

/** Draws each report as it comes, until a key or a signal quits. Waits for a service that goes away. */
async function live(address: string, key: string, askParts: () => Promise<readonly Part[]>): Promise<void> {
  const quit = new AbortController();
  const end = () => quit.abort();
  let last: CallsReport | undefined;
  let parts: readonly Part[] = [];
  const lookAtParts = async () => {
    while (!quit.signal.aborted) {
      parts = await askParts();
      await systemClock.sleep(PARTS_INTERVAL_MS, quit.signal).catch(() => undefined);
    }
  };
  let trouble: string | undefined = `waiting for ${address}`;
  const redraw = () => {
    const { rows, ...rest } = screen();
    const said = trouble?.split('\n') ?? [];
    const lines = last ? renderDashboard(last, { ...rest, rows: rows && rows - said.length }, parts) : [];
    const shown = [...lines, ...said.map((line) => printable(line).slice(0, rest.columns))];
    draw(HOME + shown.map((line) => `${line}${CLEAR_LINE_END}\n`).join('') + CLEAR_BELOW);
  };
  const onKey = (typed: Buffer) => {
    const text = typed.toString();
    const quits = QUIT_KEYS.some((key) => text.includes(key));
    // Escape with further characters is an arrow or function key.
    if (text === ESCAPE || (quits && !text.startsWith(ESCAPE))) end();
  };
  draw(ENTER);
  process.stdin.setRawMode?.(true).on('data', onKey);
  process.stdout.on('resize', redraw);
  const stopListening = onEndingSignal(end);
  redraw();
  const looking = lookAtParts();
  try {
    while (!quit.signal.aborted) {
      try {
        for await (const report of reports(address, key, quit.signal)) {
          last = report;
          trouble = undefined;
          redraw();
        }
        trouble = `${address} has ended its reports`;
      } catch (error) {
        if (quit.signal.aborted) break;
        if (error instanceof AnsweredNoError) throw error;
        trouble = explainFailure(error);
      }
      redraw();
      await systemClock.sleep(RETRY_MS, quit.signal).catch(() => undefined);
    }
  } finally {
    stopListening();
    process.stdout.off('resize', redraw);
    process.stdin.setRawMode?.(false).off('data', onKey).pause();
    draw(LEAVE);
    quit.abort();
    await looking;
  }
}

/**
 * The service's server-sent events.
 * @throws if none has come for SILENCE_LIMIT_MS: a frozen service does not close its connections
 */
async function* reports(address: string, key: string, quit: AbortSignal): AsyncGenerator<CallsReport> {
  const silence = new AbortController();
  const tooLong = () =>
    silence.abort(new Error(`${address} has sent nothing for ${SILENCE_LIMIT_MS / 1000} s`));
  let forget = systemClock.after(SILENCE_LIMIT_MS, tooLong);
  try {
    const signal = AbortSignal.any([quit, silence.signal]);
    const headers = { authorization: `Bearer ${key}` };
    for await (const event of eventsOutside(address, { headers, signal, limitBytes: REPORT_LIMIT_BYTES })) {
      yield JSON.parse(event) as CallsReport;
      forget();
      forget = systemClock.after(SILENCE_LIMIT_MS, tooLong);
    }
  } catch (error) {
    if (error instanceof StatusError) throw answeredNo(address, error.status, error.text);
    throw quit.aborted || silence.signal.aborted ? error : noService(address, error);
  } finally {
    forget();
  }
}
