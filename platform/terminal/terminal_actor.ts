/** The user who gives a command, for the audit trail. */
import { hostname, userInfo } from 'node:os';
import type { Actor } from '#platform/database/audit.ts';

/** The user of the terminal, on this machine; behind sudo, its caller as well. */
export function terminalActor(env: NodeJS.ProcessEnv = process.env): Actor {
  const user = userName();
  const caller = env.SUDO_USER && env.SUDO_USER !== user ? `${env.SUDO_USER} as ` : '';
  return { id: `terminal:${user}`, name: `${caller}${user} on ${hostname()}` };
}

/** A container may run as a user that its system does not know. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
