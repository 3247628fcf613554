/** The floors of platform/: which room may import which, and the folders of it that have one door. */

/** Lower floors first: a room imports those on the floors below. Rooms of one floor stand beside each other. */
const FLOORS = [
  ['config'],
  ['lifecycle'],
  ['telemetry'],
  ['resilience'],
  ['database', 'messaging', 'cache', 'http'],
  ['access', 'terminal'],
  ['service'],
];

/** An import between two files, as paths from the root. */
export interface Edge {
  readonly file: string;
  readonly to: string;
}

/** Imports of platform/ that leave it, go up, or cross to a room of the same floor. */
export function upwardImports(edges: readonly Edge[]): string[] {
  const roomOf = (path: string) => path.split('/')[1]!;
  const floorOf = (path: string) => FLOORS.findIndex((floor) => floor.includes(roomOf(path)));
  return edges
    .filter(({ file, to }) => {
      if (!to.startsWith('platform/')) return true;
      const [here, there] = [floorOf(file), floorOf(to)];
      return here < 0 || there > here || (there === here && roomOf(file) !== roomOf(to));
    })
    .map(({ file, to }) => `${file} imports ${to}`);
}

/** Folders that hold one idea: what stands outside of one imports its door alone. */
const DOORS = ['platform/database/fast_read/fast_read.ts'];

/** Imports into such a folder that go past its door. */
export function importsPastDoors(edges: readonly Edge[]): string[] {
  return DOORS.flatMap((door) => {
    const folder = door.slice(0, door.lastIndexOf('/') + 1);
    return edges
      .filter(({ file, to }) => to.startsWith(folder) && !file.startsWith(folder) && to !== door)
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
