#!/usr/bin/env node
// Starts main.ts under Node 24 whatever Node ran this file: npm's `node` package puts one in node_modules.
// Plain JavaScript, so that an old Node can read it too.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const bundled = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(main);
} else if (existsSync(bundled)) {
  const child = spawn(bundled, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to the child as well; `kill` of this process alone must reach it too.
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {});
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
  });
} else {
  process.stderr.write(
    `trunkline needs Node 24; this is ${process.version} and node_modules/node is missing. Run: npm ci\n`,
  );
  process.exitCode = 1;
}
