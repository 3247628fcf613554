/** The rules about back-ups. */

import type { Rule } from './rule.ts';
import { highest } from './rule_measures.ts';

const backup = { title: 'Back-up Alert', source: 'monitor' } as const;
const BY = ['folder'];

export const BACKUP_RULES: readonly Rule[] = [
  {
    ...backup,
    name: 'BackupUnknown',
    severity: 'warning',
    message: 'no back-up is known: there is none in {folder}, or it cannot be read',
    recovery: 'a back-up is known again, in {folder}',
    measure: highest('monitor_backup_known', BY),
    below: 1,
    forS: 60,
  },
  {
    ...backup,
    name: 'BackupOld',
    severity: 'warning',
    message: 'the newest back-up in {folder} is {hours} older than its limit',
    recovery: 'the newest back-up in {folder} is recent enough again',
    measure: {
      kind: 'total',
      of: [
        highest('monitor_backup_age_seconds', BY),
        { kind: 'linear', of: highest('monitor_backup_age_limit_seconds', BY), times: -1, plus: 0 },
      ],
    },
    above: 0,
    forS: 60,
  },
];
