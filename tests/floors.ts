/** The floors of platform/ and of services/calls: which room may import which; and the folders that have one entry file. */

/** Rooms on floors, lower floors first: a room imports those on the floors below. Rooms of one floor stand beside each other. */
interface House {
  readonly folder: string;
  readonly floors: readonly (readonly string[])[];
  /** The room of a file, by its path below the folder. */
  roomOf(path: string): string;
}

const firstFolder = (path: string) => path.split('/')[0]!;

const PLATFORM: House = {
  folder: 'platform/',
  floors: [
    ['config'],
    ['lifecycle'],
    ['telemetry'],
    ['resilience'],
    ['database', 'cache', 'http'],
    ['messaging', 'access', 'terminal'],
    ['service'],
  ],
  roomOf: firstFolder,
};

/** Files at the root of services/calls that do more than name things, by their rooms. The others there are words. */
const ROOMS_OF_FILES: Readonly<Record<string, string>> = {
  'partitions.ts': 'partitions',
  'first_steps.ts': 'service',
  'source_activity.ts': 'source_activity',
  'service.ts': 'service',
  'settings.ts': 'settings',
  'start.ts': 'service',
};

const CALLS: House = {
  folder: 'services/calls/',
  floors: [
    // The words of calls: a record, a number, an instant, an amount, the contract. They do no I/O.
    ['words'],
    ['formats'],
    // Every SQL statement.
    ['store'],
    ['usage', 'pseudonyms', 'partitions'],
    ['accounts', 'intake'],
    ['erasure', 'follow', 'jobs'],
    ['source_activity', 'settings', 'csv'],
    ['api', 'commands'],
    ['service'],
  ],
  roomOf(path) {
    if (!path.includes('/')) return ROOMS_OF_FILES[path] ?? 'words';
    const folder = firstFolder(path);
    return folder === 'time' ? 'words' : folder;
  },
};

/** An import between two files, as paths from the root. */
export interface Edge {
  readonly file: string;
  readonly to: string;
}

/** Imports of platform/ that leave it, go up, or cross to a room of the same floor. */
export const upwardImports = (edges: readonly Edge[]): string[] =>
  upwardIn(
    PLATFORM,
    edges,
    edges.filter(({ to }) => !to.startsWith(PLATFORM.folder)),
  );

/** Imports between files of services/calls that go up, or cross to a room of the same floor. */
export const upwardInCalls = (edges: readonly Edge[]): string[] => upwardIn(CALLS, edges, []);

function upwardIn(
  { folder, floors, roomOf }: House,
  edges: readonly Edge[],
  leaving: readonly Edge[],
): string[] {
  const room = (path: string) => roomOf(path.slice(folder.length));
  const floorOf = (path: string) => floors.findIndex((floor) => floor.includes(room(path)));
  const up = edges
    .filter(({ file, to }) => file.startsWith(folder) && to.startsWith(folder))
    .filter(({ file, to }) => {
      const [here, there] = [floorOf(file), floorOf(to)];
      return here < 0 || there > here || (there === here && room(file) !== room(to));
    });
  return [...leaving, ...up].map(({ file, to }) => `${file} imports ${to}`);
}

/**
 * Contracts are leaves: what others import of a service must not bring the service along. Of its own service a contract
 * imports only files that import nothing of the service themselves.
 */
export function heavyContracts(edges: readonly Edge[]): string[] {
  const serviceOf = (path: string) => path.split('/')[1]!;
  const own = edges.filter(
    ({ file, to }) =>
      to.startsWith('services/') && file.startsWith('services/') && serviceOf(file) === serviceOf(to),
  );
  const stems = new Set(own.map(({ file }) => file));
  return own
    .filter(({ file, to }) => /^services\/[^/]+\/contract\.ts$/.test(file) && stems.has(to))
    .map(({ file, to }) => `${file} imports ${to}, which is no leaf`);
}

/** Folders that hold one idea: what stands outside of one imports its entry file alone. */
const ENTRY_FILES = ['platform/database/fast_read/fast_read.ts', 'platform/telemetry/tracing/tracing.ts'];

/** Imports into such a folder that go past its entry file. */
export function importsPastDoors(edges: readonly Edge[]): string[] {
  return ENTRY_FILES.flatMap((entryFile) => {
    const folder = entryFile.slice(0, entryFile.lastIndexOf('/') + 1);
    return edges
      .filter(({ file, to }) => to.startsWith(folder) && !file.startsWith(folder) && to !== entryFile)
      .map(({ file, to }) => `${file} imports ${to}`);
  });
}

/** What knows the inside of services: the list of them, and what measures, derives or tries out. */
const KNOWS_SERVICES = /^(?:system|config|postgres_disks)\.ts$|^(?:bench|scripts|tests)\/|\.test\.ts$/;

/** Imports of a service by what should only know its definition, or of another service but its contract. */
export function insideImports(edges: readonly Edge[]): string[] {
  const serviceOf = (path: string) => (path.startsWith('services/') ? path.split('/')[1] : undefined);
  return edges
    .filter(({ file, to }) => {
      const [here, there] = [serviceOf(file), serviceOf(to)];
      if (there === undefined || there === here || KNOWS_SERVICES.test(file)) return false;
      return here === undefined || to !== `services/${there}/contract.ts`;
    })
    .map(({ file, to }) => `${file} imports ${to}`);
}
