/**
 * All benchmarks, one after the other, in short form (`--full`: in their standard sizes). Each prints its own table with
 * ratios; nothing is judged.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Options of the short form. */
const BENCHES: Record<string, string[]> = {
  page: ['--seconds', '2', '--rounds', '1'],
  import: ['--rows', '300000'],
  ingest: ['--seconds', '5'],
  consumption: [],
  start: [],
  queue_order: [],
  overload: [],
  monitor: ['--seconds', '30'],
};

const { values } = parseArgs({
  options: { full: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write(
    `npm run bench [-- --full]\n\n  ${Object.keys(BENCHES).join(', ')}\n\nExample:\n  npm run bench -- --full\n`,
  );
} else {
  for (const [name, short] of Object.entries(BENCHES)) {
    const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
    if (!existsSync(file)) continue;
    process.stdout.write(`\n── ${name}\n`);
    const child = spawn(process.execPath, [file, ...(values.full ? [] : short)], { stdio: 'inherit' });
    const code = await new Promise<number | null>((done) => child.on('close', done));
    if (code !== 0) process.exitCode = 1;
  }
}
