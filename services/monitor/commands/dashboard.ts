/** Renders the dashboard: a report in, lines of text out. Layout as in the reference. */
import type { ServerReport } from '#platform/database/monitoring.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { duration } from '#platform/terminal/print.ts';
import type { CallsReport, SourceActivity, SourceReport } from '#services/calls/contract.ts';
import type { Part, PartState } from '../topology_parts.ts';

export interface Screen {
  readonly columns: number;
  /** Undefined: no limit. */
  readonly rows: number | undefined;
  readonly colour: boolean;
}

const MIN_COLUMNS = 40;
const MAX_COLUMNS = 100;
const BAR_WIDTH = 20;
/** Lines of activity that a low screen should still show, and that an unlimited one shows. */
const WANTED_ACTIVITY = 3;
const MOST_ACTIVITY = 10;
/** Maximum of followed sources with a line of their own; of more, the most important ones are shown. */
const MOST_SOURCES = 5;
const COLOURS = { green: 32, yellow: 33, red: 31, dim: 2 } as const;
type Colour = keyof typeof COLOURS;

/**
 * The whole screen except its last line, where the cursor is. Lines fit its width, and the activity fills the remaining rows.
 * If the screen is too low, each server has two lines.
 * @param parts the monitor's disks and keepers of the tier; empty: no monitor answered
 */
export function renderDashboard(given: CallsReport, screen: Screen, parts: readonly Part[] = []): string[] {
  const report = printableTexts(given);
  const width = Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, screen.columns));
  const paint = (colour: Colour, text: string) =>
    screen.colour ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;
  const rule = (left: string, right: string) => left + '─'.repeat(width - 2) + right;
  const line = (text = '') => `│ ${pad(text, width - 4)} │`;
  const statusColour = { healthy: 'green', degraded: 'yellow', down: 'red' } as const;
  const mark = { healthy: '✅', degraded: '⚠️ ', down: '❌' } as const;

  const top = [
    rule('┌', '┐'),
    line(centre('Trunkline CDR API Monitoring', width - 4)),
    rule('├', '┤'),
    line(
      `System Status: ${mark[report.status]} ${paint(statusColour[report.status], report.status.toUpperCase())}`,
    ),
    line(`Uptime: ${duration(report.uptime_s)}`),
    line(`Last Restart: ${stamp(report.last_restart)}`),
  ];
  const followed = [
    ...keptLines(printableTexts(parts), paint),
    ...sourceLines(report.sources, paint),
    ...switchLines(report.switches, paint),
  ];
  const sources = followed.length === 0 ? [] : [rule('├', '┤'), ...followed.map(line)];
  const whole = report.servers.map((server) => serverLines(server, report.servers.length > 1, paint));
  const servers = fits(whole, top.length + sources.length, screen.rows)
    ? whole.flatMap((lines) => [rule('├', '┤'), ...lines.map(line)])
    : [rule('├', '┤'), ...report.servers.flatMap((server) => shortLines(server, paint).map(line))];
  const fixed = [...top, ...servers, ...sources, rule('├', '┤'), line('Recent Activity')];
  const left = screen.rows === undefined ? MOST_ACTIVITY : Math.max(0, screen.rows - fixed.length - 2);
  const activity = report.recent_activity
    .slice(0, left)
    .map(({ at, text }) => line(`• ${at.slice(11, 19)} - ${text}`));
  const lines = [...fixed, ...activity, rule('└', '┘')];
  return screen.rows === undefined ? lines : lines.slice(0, screen.rows - 1);
}

/** A report with printable texts only: it contains names of keys and messages of servers. */
function printableTexts<T>(value: T): T {
  if (typeof value === 'string') return printable(value) as T;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(printableTexts) as T;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, printableTexts(inner)])) as T;
}

/** Whether there is room for all lines of the servers, the frame and some activity. */
function fits(servers: readonly string[][], topRows: number, rows = Number.POSITIVE_INFINITY): boolean {
  const serverRows = servers.reduce((sum, lines) => sum + lines.length + 1, 0);
  return topRows + serverRows + 2 + WANTED_ACTIVITY + 1 < rows;
}

/** A server in two lines: "primary: ✅ Healthy 99.8%, CLOSED" and "  [▓▓░░] 1.5%, 3 / 200, 10 at work". */
function shortLines(server: ServerReport, paint: Paint): string[] {
  const { circuit, queue } = server;
  const lag = server.replica_lag_s === null ? '' : `, ${server.replica_lag_s.toFixed(1)} s behind`;
  const uptime = server.uptimePercent === null ? '' : ` ${server.uptimePercent}%`;
  return [
    `${server.name}: ${health(server, paint)}${uptime}, ${circuitState(circuit, paint)}${circuitNote(circuit)}${lag}`,
    `  ${queueBar(queue, paint)}, ${queue.length} / ${queue.limit}${queueNote(queue)}, ${queue.processing} at work`,
  ];
}

type Paint = (colour: Colour, text: string) => string;

function serverLines(server: ServerReport, named: boolean, paint: Paint): string[] {
  const { circuit, queue } = server;
  return [
    `Database Health${named ? `: ${server.name}` : ''}`,
    `  Status: ${health(server, paint)}${server.timeSinceDown === null ? '' : ` for ${duration(server.timeSinceDown)}`}`,
    `  Uptime: ${server.uptimePercent === null ? 'not checked yet' : `${server.uptimePercent}%`}`,
    server.healthy
      ? `  Consecutive Successes: ${server.consecutiveSuccesses.toLocaleString('en-US')}`
      : `  Consecutive Failures: ${server.consecutiveFailures.toLocaleString('en-US')}`,
    `  Last Check: ${server.lastCheck === null ? 'none' : stamp(server.lastCheck)}`,
    ...(server.replica_lag_s === null ? [] : [`  Replica Lag: ${server.replica_lag_s.toFixed(1)} s`]),
    ...(server.lastError && !server.healthy ? [`  ${paint('dim', server.lastError)}`] : []),
    '',
    `Request Queue${named ? `: ${server.name}` : ''}`,
    `  Circuit State: ${circuitState(circuit, paint)}${circuitNote(circuit)}`,
    `  Queue Length: ${queue.length} / ${queue.limit} (${percentOf(queue)})${queueNote(queue)}`,
    `  Processing: ${queue.processing > 0 ? `Yes (${queue.processing} of ${queue.slots})` : 'No'}`,
    `  ${queueBar(queue, paint)}`,
  ];
}

function health({ healthy, lastCheck }: ServerReport, paint: Paint): string {
  if (lastCheck === null) return 'Not checked yet';
  return healthy ? `✅ ${paint('green', 'Healthy')}` : `❌ ${paint('red', 'Down')}`;
}

const KEEPERS: readonly Part['role'][] = ['etcd', 'supervisor', 'lease', 'redis'];
const PART_MARKS: Partial<Record<PartState, string>> = { UP: '✅', UNKNOWN: '… ' };

/** "Disks and Keepers": the use of each disk, and the keepers of the tier in one line; parts that are not UP with the reason. */
function keptLines(parts: readonly Part[], paint: Paint): string[] {
  const mark = ({ state }: Part) => PART_MARKS[state] ?? '❌';
  const toldOf = (part: Part, words: string) => {
    const line = `  ${mark(part)} ${words}`;
    return part.state === 'UP' || part.state === 'UNKNOWN' ? line : paint('yellow', line);
  };
  const disks = parts.filter(({ role }) => role === 'disk');
  const keepers = parts.filter(({ role }) => KEEPERS.includes(role));
  if (disks.length + keepers.length === 0) return [];
  const well = keepers.filter(({ state }) => state === 'UP');
  const others = keepers.filter(({ state }) => state !== 'UP');
  const lease = ({ name, role, detail }: Part) => (role === 'lease' ? `${name} ${detail}` : name);
  return [
    'Disks and Keepers',
    ...disks.map((one) => toldOf(one, `${one.id}: ${one.detail.replace(/ of \S+ used,/, ' used,')}`)),
    ...(well.length > 0 ? [`  ✅ ${well.map(lease).join(', ')}`] : []),
    ...others.map((one) => toldOf(one, `${one.name}: ${one.state}, ${one.detail}`)),
  ];
}

const SOURCE_MARKS = { following: '✅', waiting: '… ', failing: '❌', left: '… ' } as const;

/** "Followed Sources", each with its lag: first failing ones, then those with the largest lag. */
function sourceLines(sources: readonly SourceReport[], paint: Paint): string[] {
  if (sources.length === 0) return [];
  const urgency = (one: SourceReport) =>
    one.state === 'failing' ? Number.POSITIVE_INFINITY : one.bytes_behind;
  const sorted = sources.toSorted((a, b) => (urgency(a) === urgency(b) ? 0 : urgency(b) - urgency(a)));
  const rest = sorted.length - MOST_SOURCES;
  return [
    'Followed Sources',
    ...sorted
      .slice(0, MOST_SOURCES)
      .flatMap((one) => [
        `  ${SOURCE_MARKS[one.state]} ${one.path}: ${sourceLag(one)}`,
        ...(one.detail === '' ? [] : [`     ${paint('dim', one.detail)}`]),
      ]),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ];
}

/** "Switches", each with the time of its last rows: first those with a fault. */
function switchLines(switches: readonly SourceActivity[], paint: Paint): string[] {
  if (switches.length === 0) return [];
  const sorted = switches.toSorted((a, b) => Number(isTroubled(b)) - Number(isTroubled(a)));
  const rest = sorted.length - MOST_SOURCES;
  return [
    'Switches',
    ...sorted.slice(0, MOST_SOURCES).map((one) => {
      const line = `${one.source}: ${switchWords(one)}`;
      return `  ${isTroubled(one) ? '❌' : '✅'} ${isTroubled(one) ? paint('yellow', line) : line}`;
    }),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ];
}

const isSilent = ({ silent_s: silentS, silence_limit_s: limitS }: SourceActivity) =>
  silentS !== null && limitS !== null && silentS > limitS;
const isTroubled = (one: SourceActivity) => isSilent(one) || one.set_aside_today + one.refused_today > 0;

/** "12.0 rows/min, last 3s ago, 2 set aside and 31 refused today" */
function switchWords(one: SourceActivity): string {
  const heard = one.silent_s === null ? 'never heard' : `last ${duration(one.silent_s)} ago`;
  const silent = isSilent(one) ? ', silent for longer than usual' : '';
  const troubles = [
    ...(one.set_aside_today > 0 ? [`${one.set_aside_today.toLocaleString('en-US')} set aside`] : []),
    ...(one.refused_today > 0 ? [`${one.refused_today.toLocaleString('en-US')} refused`] : []),
  ];
  const today = troubles.length > 0 ? `, ${troubles.join(' and ')} today` : '';
  return `${one.rows_per_minute.toFixed(1)} rows/min, ${heard}${silent}${today}`;
}

/** "1,234 bytes behind, last row 3s ago, silent for longer than usual" */
function sourceLag({
  bytes_behind: bytes,
  silent_s: silentS,
  silence_limit_s: limitS,
}: SourceReport): string {
  const heard = silentS === null ? 'no row yet' : `last row ${duration(silentS)} ago`;
  const isLong = silentS !== null && limitS !== null && silentS > limitS;
  return `${bytes.toLocaleString('en-US')} bytes behind, ${heard}${isLong ? ', silent for longer than usual' : ''}`;
}

const CIRCUIT_COLOURS = { CLOSED: 'green', HALF_OPEN: 'yellow', OPEN: 'red', HELD_OPEN: 'red' } as const;
const circuitState = ({ state }: ServerReport['circuit'], paint: Paint) =>
  paint(CIRCUIT_COLOURS[state], state);

function circuitNote(circuit: ServerReport['circuit']): string {
  if (circuit.held_by) return `, by ${circuit.held_by}`;
  const whose = circuit.of === 'service' ? ', of this service alone' : '';
  return circuit.next_probe ? `${whose}, next probe ${circuit.next_probe.slice(11, 19)}` : whose;
}

type Queue = ServerReport['queue'];

const percentOf = ({ length, limit }: Queue) => `${((length / limit) * 100).toFixed(1)}%`;

function queueBar(queue: Queue, paint: Paint): string {
  const share = queue.length / queue.limit;
  const filled = Math.round(share * BAR_WIDTH);
  const colour = share < 0.5 ? 'green' : share < 0.8 ? 'yellow' : 'red';
  return `[${paint(colour, '▓'.repeat(filled))}${'░'.repeat(BAR_WIDTH - filled)}] ${percentOf(queue)}`;
}

function queueNote({ length, oldest_wait_ms: oldestMs, order }: Queue): string {
  const oldest = length > 0 ? `, the oldest for ${(oldestMs / 1000).toFixed(1)} s` : '';
  return order === 'newest_first' ? `${oldest}, newest first` : oldest;
}

const stamp = (rfc3339: string) => rfc3339.slice(0, 19).replace('T', ' ');

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour sequences begin with one
const COLOUR_SEQUENCE = /\x1b\[\d+m/g;

/** Columns that a text takes on a terminal: colour takes none, the marks take two. */
function columnsOf(text: string): number {
  const plain = text.replaceAll(COLOUR_SEQUENCE, '').replaceAll('\ufe0f', '');
  return plain.length + (plain.match(/[✅❌]/g)?.length ?? 0);
}

/** Exactly `width` columns: filled up, or cut (and then without colour). */
function pad(text: string, width: number): string {
  if (columnsOf(text) <= width) return text + ' '.repeat(width - columnsOf(text));
  let kept = text.replaceAll(COLOUR_SEQUENCE, '').slice(0, width - 1);
  while (columnsOf(kept) > width - 1) kept = kept.slice(0, -1);
  return `${kept}…`.padEnd(kept.length + 1 + width - 1 - columnsOf(kept));
}

const centre = (text: string, width: number) =>
  ' '.repeat(Math.max(0, Math.floor((width - text.length) / 2))) + text;
