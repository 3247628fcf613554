/** Finds the engines' programs in the folders of Debian and its derivatives. */
import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BROKER_PROGRAM } from '#engines/broker_node.ts';
import { saysAbsent } from '#engines/processes.ts';

const SEARCHED = ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin', '/sbin', '/bin'];
const POSTGRES_VERSIONS = '/usr/lib/postgresql';

export interface Programs {
  readonly haproxy: string;
  readonly pgbouncer: string;
  readonly patroni: string;
  readonly etcd: string;
  /** Folder with postgres, initdb, pg_rewind, psql. */
  readonly postgres: string;
}

/** The programs of the tier that are not installed on this machine; empty when all are. */
export function missingPrograms(): string[] {
  const missing = ['haproxy', 'pgbouncer', 'patroni', 'etcd'].filter((name) => !find(name));
  if (!find('ss')) missing.push('iproute2');
  if (!postgresFolder()) missing.push('postgresql');
  return missing;
}

/** @throws Error where RabbitMQ is not installed */
export function requireRabbitmq(): void {
  if (!isProgram(BROKER_PROGRAM))
    throw new Error('not installed: RabbitMQ. On Debian and Ubuntu, run as root: scripts/engines rabbitmq');
}

/** @throws Error that names the missing programs and the script that installs them */
export function findPrograms(): Programs {
  const missing = missingPrograms();
  if (missing.length > 0) {
    throw new Error(
      `not installed: ${missing.join(', ')}. On Debian and Ubuntu, run as root: scripts/engines`,
    );
  }
  return {
    haproxy: find('haproxy')!,
    pgbouncer: find('pgbouncer')!,
    patroni: find('patroni')!,
    etcd: find('etcd')!,
    postgres: postgresFolder()!,
  };
}

function find(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), ...SEARCHED].filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/** The newest PostgreSQL with server programs. */
function postgresFolder(): string | undefined {
  let versions: string[];
  try {
    versions = readdirSync(POSTGRES_VERSIONS);
  } catch (error) {
    if (saysAbsent(error)) return undefined;
    throw error;
  }
  return versions
    .filter((version) => /^\d+$/.test(version))
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(POSTGRES_VERSIONS, version, 'bin'))
    .find((folder) => isProgram(join(folder, 'postgres')) && isProgram(join(folder, 'pg_rewind')));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
