/** All drills, by the names that `trunkline drill` takes. */
import { bouncerCrash, bouncerFreeze } from './bouncers.ts';
import type { Drill } from './drill.ts';
import { haproxyReload, rollingRestart } from './maintenance.ts';
import { primaryCrash, primaryFreeze } from './primary.ts';
import { replicaLag } from './replica.ts';

export const drills: readonly Drill[] = [
  bouncerCrash,
  bouncerFreeze,
  primaryCrash,
  primaryFreeze,
  replicaLag,
  haproxyReload,
  rollingRestart,
];
