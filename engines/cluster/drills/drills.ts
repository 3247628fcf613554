/** The drills other than losses of a part, by their names in `trunkline drill`. */
import { diskFull } from './disk_full.ts';
import type { Drill } from './drill.ts';
import { haproxyReload, rollingRestart } from './maintenance.ts';
import { replicaLag } from './replica.ts';
import { slowReaders } from './slow_readers.ts';

export const drills: readonly Drill[] = [haproxyReload, replicaLag, slowReaders, diskFull, rollingRestart];
