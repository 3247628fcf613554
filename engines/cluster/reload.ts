/** Applies changed configuration to a running tier, without refusing or failing a request. */
import { writeFile } from 'node:fs/promises';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { serverStatesAtStart } from './configuration.ts';
import { command, workerPid } from './haproxy.ts';
import type { Haproxy } from './layout.ts';
import { reloadPatroni } from './patroni.ts';
import { tell } from './pgbouncer.ts';
import { signal } from './processes.ts';
import { waitFor } from './readiness.ts';
import type { Tier } from './tier.ts';

const NEW_WORKER_LIMIT_MS = 20_000;
const TELL_LIMIT_MS = 10_000;
/** A new worker has asked Patroni once for the primary before bouncers are sent to it. */
const FIRST_CHECKS_MS = 2_000;

/**
 * Reloads every HAProxy process, one after the other. The old worker of each process keeps its connections but no longer
 * checks its servers, so it would not cut a bouncer's connection to a primary that loses its lease: a frozen primary that
 * wakes up could acknowledge writes that the new primary does not have. So all bouncers renew their connections to
 * PostgreSQL at once.
 */
export async function reloadHaproxies(tier: Tier, told: (text: string) => void): Promise<void> {
  for (const haproxy of tier.layout.haproxies) {
    await newWorker(tier, haproxy);
    told(`${haproxy.name}: a new worker has its sockets, the old one serves its present connections`);
    await systemClock.sleep(FIRST_CHECKS_MS);
  }
  await Promise.all(
    tier.layout.bouncers.map((bouncer) => tell(bouncer, tier.secrets, 'RECONNECT trunkline', TELL_LIMIT_MS)),
  );
  told('the bouncers renew their connections to PostgreSQL, through the new workers');
}

async function newWorker(tier: Tier, haproxy: Haproxy): Promise<void> {
  const before = await workerPid(haproxy);
  await writeFile(haproxy.stateFile, await command(haproxy, 'show servers state'));
  signal((await tier.processOf(haproxy.name)).pid, 'SIGUSR2');
  await waitFor(NEW_WORKER_LIMIT_MS, async () =>
    (await workerPid(haproxy)) === before ? `${haproxy.name} has not reloaded` : undefined,
  );
  // The file is right for this moment only.
  await writeFile(haproxy.stateFile, serverStatesAtStart(tier.layout));
}

/** Makes every part read its files again: PgBouncer and Patroni first, then HAProxy. */
export async function reloadTier(tier: Tier, told: (text: string) => void): Promise<void> {
  for (const bouncer of tier.layout.bouncers) await tell(bouncer, tier.secrets, 'RELOAD', TELL_LIMIT_MS);
  for (const node of tier.layout.nodes) await reloadPatroni(node, tier.secrets);
  told('PgBouncer and Patroni have read their files');
  await reloadHaproxies(tier, told);
}
