#!/usr/bin/env node
// Starts main.ts under Node 24 whatever Node ran this file: npm's `node` package puts one in node_modules.
// Plain JavaScript, so that an old Node can read it too.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const bundled = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(main);
} else if (existsSync(bundled)) {
  // The child ends when the process that it is told of here has gone (platform/terminal/ending_signals.ts).
  const env = { ...process.env, TRUNKLINE_LAUNCHER: String(process.pid) };
  const child = spawn(bundled, [main, ...process.argv.slice(2)], { stdio: 'inherit', env });
  // A terminal sends Ctrl-C to the child as well, which takes both for one; `kill` of this process alone must reach it too.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
} else {
  process.stderr.write(
    `trunkline needs Node 24; this is ${process.version} and node_modules/node is missing. Run: npm ci\n`,
  );
  process.exitCode = 1;
}
