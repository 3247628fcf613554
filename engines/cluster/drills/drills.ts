/** The drills of what is no loss of a part, by the names that `trunkline drill` takes. */
import { diskFull } from './disk_full.ts';
import type { Drill } from './drill.ts';
import { haproxyReload, rollingRestart } from './maintenance.ts';
import { replicaLag } from './replica.ts';
import { slowReaders } from './slow_readers.ts';

export const drills: readonly Drill[] = [haproxyReload, replicaLag, slowReaders, diskFull, rollingRestart];
