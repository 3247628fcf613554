/**
 * The calls service twice without traces and once with them, in one process, so that all three run the same compiled code and
 * share one heap. Started by bench/tracing.ts, which says by messages which share of the requests is traced, and asks for the
 * processor time so far.
 *
 *   node bench/tracing_program.ts <url of a receiver>
 */
import { systemClock } from '#platform/lifecycle/clock.ts';
import { startModules } from '#platform/lifecycle/modules.ts';
import { currentSpan, startTracing } from '#platform/telemetry/tracing/tracing.ts';
import { readConfig, servicesIn, systemModules } from '#system';

/** What the program says once it runs. */
export interface Started {
  /** Of the service without traces, the same again, and the one with them. */
  readonly urls: readonly string[];
  /** How long a look whether a span is under way takes, in nanoseconds. */
  readonly lookNs: number;
}

const LOOKS = 5_000_000;
const [url = ''] = process.argv.slice(2);
let ratio = 0;

async function startCalls(): Promise<string> {
  const modules = systemModules(readConfig(process.env), ['calls'], { cluster: false });
  const { parts } = await startModules(modules, ['calls'], () => undefined);
  return servicesIn(parts)[0]!.running.url;
}

const urls = [await startCalls(), await startCalls()];
await startTracing({
  ...{ url, headers: {}, version: 'bench', ratio: 1, believes: () => false },
  // The decision is the program's own; only its ratio changes from figure to figure.
  random: () => (Math.random() < ratio ? 0 : 1),
  clock: systemClock,
  onReceiver: () => undefined,
});
urls.push(await startCalls());

const before = process.hrtime.bigint();
for (let n = 0; n < LOOKS; n++) currentSpan();
const lookNs = Number(process.hrtime.bigint() - before) / LOOKS;

process.on('message', (message: { readonly ratio: number }) => {
  ({ ratio } = message);
  const { user, system } = process.cpuUsage();
  process.send!(user + system);
});
process.send!({ urls, lookNs } satisfies Started);
