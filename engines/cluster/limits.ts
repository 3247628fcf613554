/**
 * Checks this machine's limit of open files against the clients of the tier, before the tier starts: a HAProxy at its
 * limit lets further clients hang without an error.
 */
import { readFileSync } from 'node:fs';
import { BOUNCER_CLIENTS } from './configuration.ts';

/** The number of clients in the reference. */
export const CLIENTS_DEFAULT = 12_000;
/** Two, so that clients keep a door when one is lost. */
export const HAPROXIES_DEFAULT = 2;
/** A client of HAProxy takes two sockets. */
const FILES_A_CLIENT = 2;
/** Listeners, log, checks, threads' pipes. */
const FILES_OF_HAPROXY_ITSELF = 100;
/** The bouncers' connections to PostgreSQL (5 x 70 when one HAProxy carries all), statistics, commands. */
const CONNECTIONS_BESIDE_CLIENTS = 400;
const MAXCONN_CAP = 20_000;
/** Server connections, log, listeners. */
const FILES_OF_BOUNCER_ITSELF = 150;

export interface HaproxyLimits {
  /** global maxconn. */
  readonly maxconn: number;
  /** Clients that one process accepts. */
  readonly clients: number;
}

/** The clients of one HAProxy process under a limit of open files. */
export function haproxyLimits(openFiles: number): HaproxyLimits {
  const maxconn = Math.min(MAXCONN_CAP, Math.floor((openFiles - FILES_OF_HAPROXY_ITSELF) / FILES_A_CLIENT));
  return { maxconn, clients: maxconn - CONNECTIONS_BESIDE_CLIENTS };
}

/**
 * Checks the limit against the wanted number of clients.
 * @param openFiles the hard limit of open files of a process
 * @returns the fault and the setting to change, or undefined when the limit is high enough
 */
export function limitsFault(
  openFiles: number,
  haproxies: number,
  clients: number,
): { readonly says: string; readonly advice: string } | undefined {
  const held = Math.max(0, haproxyLimits(openFiles).clients) * haproxies;
  if (held < clients) {
    const needed = filesNeeded(haproxies, clients);
    return {
      says: `the limit of ${openFiles} open files a process holds ${held} clients over ${haproxies} HAProxy process(es), not ${clients}`,
      advice:
        `raise it to ${needed} (ulimit -Hn ${needed}, LimitNOFILE=${needed} in systemd, or nofile in ` +
        '/etc/security/limits.conf), start more processes (--haproxies), or ask for fewer clients (--clients)',
    };
  }
  const bouncerFiles = Math.min(BOUNCER_CLIENTS, clients) + FILES_OF_BOUNCER_ITSELF;
  if (openFiles < bouncerFiles) {
    return {
      says: `the limit of ${openFiles} open files is too low for a PgBouncer of ${BOUNCER_CLIENTS} clients`,
      advice: `raise it to ${bouncerFiles} (ulimit -Hn ${bouncerFiles})`,
    };
  }
  return undefined;
}

function filesNeeded(haproxies: number, clients: number): number {
  const each = Math.ceil(clients / haproxies) + CONNECTIONS_BESIDE_CLIENTS;
  return each * FILES_A_CLIENT + FILES_OF_HAPROXY_ITSELF;
}

/**
 * The hard limit of open files of a process, by default this one; its children may raise theirs to it. Linux only.
 * For a running tier ask one of its parts: a shell's limit says nothing about processes started from another shell.
 */
export function openFilesLimit(pid: number | 'self' = 'self'): number {
  const line = readFileSync(`/proc/${pid}/limits`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith('Max open files'));
  const hard = line?.trim().split(/\s+/).at(-2);
  return hard === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(hard ?? 1024);
}
