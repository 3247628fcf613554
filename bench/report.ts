/** What every benchmark has alike: its options, its table, the machine it ran on. */
import { cpus, totalmem } from 'node:os';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

export type Row = (string | number)[];

export interface BenchOptions {
  readonly name: string;
  readonly json: boolean;
  readonly values: Readonly<Record<string, string>>;
}

/**
 * Reads `--json`, `--help` and the benchmark's own numeric options.
 * @param defaults option names with their standard values
 */
export function benchOptions(name: string, what: string, defaults: Record<string, string>): BenchOptions {
  const options: Record<string, { type: 'boolean' | 'string'; default: boolean | string }> = {
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  };
  for (const [option, value] of Object.entries(defaults))
    options[option] = { type: 'string', default: value };
  const values = parseArgs({ options: options as ParseArgsOptionsConfig }).values as Record<
    string,
    string | boolean
  >;
  if (values.help) {
    const list = Object.entries(defaults).map(([option, value]) => `  --${option} N   standard: ${value}`);
    process.stdout.write(`node bench/${name}.ts [options]   ${what}\n\n${list.join('\n')}\n  --json\n`);
    process.exit(0);
  }
  const own = Object.keys(defaults).map((option) => [option, String(values[option])]);
  return { name, json: values.json === true, values: Object.fromEntries(own) };
}

/** Prints a benchmark's rows, as a table or as JSON. The first row's cells are the figures, nothing is judged. */
export function finish(options: BenchOptions, title: string, rows: readonly Row[]): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ bench: options.name, title, machine: machine(), rows })}\n`);
    return;
  }
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => String(row[column] ?? '').length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => String(cell).padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  process.stdout.write(`\n${options.name}: ${title}\n${machine()}\n\n${lines.join('\n')}\n`);
}

/** "2 × AMD EPYC 7B13, 25 GB, Node v24.1.0" */
export const machine = (): string =>
  `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 1e9)} GB, Node ${process.version}`;

export const ratio = (value: number, of: number): string => `${((100 * value) / of).toFixed(0)} %`;
