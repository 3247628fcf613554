/** All drills, by the names that `trunkline drill` takes. */
import { bouncerCrash, bouncerFreeze } from './bouncers.ts';
import { diskFull } from './disk_full.ts';
import type { Drill } from './drill.ts';
import { haproxyReload, rollingRestart } from './maintenance.ts';
import { primaryCrash, primaryFreeze } from './primary.ts';
import { replicaLag } from './replica.ts';
import { slowReaders } from './slow_readers.ts';

export const drills: readonly Drill[] = [
  bouncerCrash,
  bouncerFreeze,
  haproxyReload,
  // After the reload on purpose: an old HAProxy worker must not lead bouncers to the frozen primary that wakes up.
  primaryFreeze,
  primaryCrash,
  replicaLag,
  slowReaders,
  diskFull,
  rollingRestart,
];
