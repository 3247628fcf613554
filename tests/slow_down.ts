/**
 * Slows a process and all that descend from it: they run for a fiftieth of the time, as on a machine that is starved of
 * its processor. Ends with its parent, or on SIGTERM, and lets them run then.
 *
 *   node tests/slow_down.ts <pid>
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { freezeFamily, signal } from '#engines/cluster/processes.ts';

const RUN_MS = 2;
const HOLD_MS = 98;

const pid = Number(process.argv[2]);
const parent = process.ppid;
let ending = false;
process.on('SIGTERM', () => {
  ending = true;
});
while (!ending && process.ppid === parent) {
  const frozen = freezeFamily(pid);
  await sleep(HOLD_MS);
  for (const member of frozen) signal(member, 'SIGCONT');
  await sleep(RUN_MS);
}
