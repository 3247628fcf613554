/**
 * What every benchmark has alike: its options, its table, the machine it ran on, and its headlines, of which
 * bench/run.ts makes one table of all.
 */
import { cpus, totalmem } from 'node:os';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

export type Row = (string | number)[];

export interface BenchOptions {
  readonly name: string;
  readonly json: boolean;
  readonly values: Readonly<Record<string, string>>;
}

/** One figure that a benchmark is summed up by. Nothing is judged: what was expected stands beside what was found. */
export interface Headline {
  readonly figure: string;
  /** With its unit. */
  readonly value: string;
  /** To whom it is compared, and how: "55 % of pgbench". */
  readonly ratio?: string;
  /** Where one was set: "≥ 50 %". */
  readonly expected?: string;
}

/** What a benchmark tells bench/run.ts, when that has started it. */
export type Outcome = { readonly headlines: readonly Headline[] } | { readonly skipped: string };

/**
 * Reads `--json`, `--help` and the benchmark's own options.
 * @param defaults option names with their standard values
 * @param meanings what an option is, with its unit, where its name does not say it
 */
export function benchOptions(
  name: string,
  what: string,
  defaults: Record<string, string>,
  meanings: Record<string, string> = {},
): BenchOptions {
  const options: Record<string, { type: 'boolean' | 'string'; default: boolean | string }> = {
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  };
  for (const [option, value] of Object.entries(defaults))
    options[option] = { type: 'string', default: value };
  const values = given(name, options as ParseArgsOptionsConfig);
  if (values.help) {
    const list = Object.entries(defaults).map(([option, value]) => {
      const usage = `  --${option} ${isNumber(value) ? 'N' : 'TEXT'}`;
      const standard = value && `(standard: ${value})`;
      return [usage, meanings[option], standard].filter(Boolean).join('  ');
    });
    const [first] = Object.entries(defaults);
    const example = `node bench/${name}.ts ${first ? `--${first[0]} ${first[1]} ` : ''}--json`;
    process.stdout.write(
      `node bench/${name}.ts [options]   ${what}\n\n${[...list, '  --json'].join('\n')}\n\nExample:\n  ${example}\n`,
    );
    process.exit(0);
  }
  const own = Object.entries(defaults).map(([option, value]): [string, string] => {
    const text = String(values[option]);
    if (isNumber(value) && !isNumber(text)) refuseOptions(name, `--${option} wants a number, not '${text}'`);
    return [option, text];
  });
  return { name, json: values.json === true, values: Object.fromEntries(own) };
}

const isNumber = (text: string) => text.trim() !== '' && Number(text) >= 0;

/** What the command line gives; ends with what is wrong about it where it can't be read. */
function given(name: string, options: ParseArgsOptionsConfig): Record<string, string | boolean> {
  try {
    return parseArgs({ options }).values as Record<string, string | boolean>;
  } catch (error) {
    refuseOptions(name, (error as Error).message);
  }
}

/** Ends a benchmark whose options are wrong. */
export function refuseOptions(name: string, reason: string): never {
  process.stderr.write(`${reason}; node bench/${name}.ts --help lists the options\n`);
  process.exit(2);
}

/** Prints a benchmark's rows, as a table or as JSON, and tells its headlines to bench/run.ts. */
export function finish(
  options: BenchOptions,
  title: string,
  rows: readonly Row[],
  headlines: readonly Headline[],
): void {
  const { name, json } = options;
  process.stdout.write(
    json
      ? `${JSON.stringify({ bench: name, title, machine: machine(), rows, headlines })}\n`
      : `\n${name}: ${title}\n${machine()}\n\n${aligned(rows)}\n`,
  );
  process.send?.({ headlines } satisfies Outcome);
}

/** Ends a benchmark that can't be run here: that is no failure, and it is said. */
export async function skip(options: BenchOptions, reason: string): Promise<never> {
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ bench: options.name, skipped: reason })}\n`
      : `\n${options.name}: skipped: ${reason}\n`,
  );
  await new Promise<void>((sent) => {
    if (process.send) process.send({ skipped: reason } satisfies Outcome, undefined, undefined, () => sent());
    else sent();
  });
  process.exit(0);
}

/**
 * The one table of all benchmarks.
 * @param outcomes in their order; undefined where a benchmark failed before it had any
 */
export function summary(outcomes: readonly (readonly [bench: string, Outcome | undefined])[]): Row[] {
  const rows: Row[] = [['bench', 'figure', 'value', 'ratio', 'expected']];
  for (const [bench, outcome] of outcomes) {
    if (!outcome) rows.push([bench, 'failed: see above', '', '', '']);
    else if ('skipped' in outcome) rows.push([bench, `skipped: ${outcome.skipped}`, '', '', '']);
    else
      for (const [index, { figure, value, ratio = '', expected = '' }] of outcome.headlines.entries())
        rows.push([index === 0 ? bench : '', figure, value, ratio, expected]);
  }
  return rows;
}

/** Rows as lines, with columns as wide as their widest cell. */
export function aligned(rows: readonly Row[]): string {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => String(row[column] ?? '').length)),
  );
  const line = (row: Row) => row.map((cell, column) => String(cell).padEnd(widths[column]!));
  return rows.map((row) => line(row).join('  ').trimEnd()).join('\n');
}

/** "2 × AMD EPYC 7B13, 25 GB, Node v24.1.0" */
export const machine = (): string =>
  `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 1e9)} GB, Node ${process.version}`;

export const ratio = (value: number, of: number): string => `${((100 * value) / of).toFixed(0)} %`;

/** The value below which a share `q` of all lie; 0.5: the median. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
