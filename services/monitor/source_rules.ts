/** The rules about switches, and about files and folders that a service follows. */

import type { Rule } from './rule.ts';
import { highest } from './rule_measures.ts';

/** Up to this many refused posts raise no alert: they may come from someone who only tries the address. */
const FEW_REFUSED = 4;

const source = { title: 'Source Alert', source: 'service' } as const;

export const SOURCE_RULES: readonly Rule[] = [
  {
    ...source,
    name: 'SourceSilent',
    severity: 'warning',
    message: '{source}: no row for {percent} of the usual longest silence at this hour',
    recovery: '{source}: rows come again',
    measure: {
      kind: 'ratio',
      of: highest('source_silence_seconds', ['service', 'source']),
      // Absent in a source's first week.
      to: highest('source_silence_limit_seconds', ['service', 'source']),
    },
    above: 1,
    forS: 60,
  },
  {
    ...source,
    name: 'SourceFailing',
    severity: 'warning',
    message: '{source} is not read: `trunkline top` shows the reason',
    recovery: '{source} is read again',
    measure: highest('followed_source_state', ['service', 'source'], ['state', '=', 'failing']),
    above: 0,
    forS: 60,
  },
  {
    ...source,
    name: 'RowsSetAside',
    severity: 'warning',
    message: '{source}: {value} rows were set aside in this hour and the one before',
    recovery: '{source}: no row was set aside for an hour',
    measure: highest('source_set_aside_recent', ['service', 'source']),
    above: 0,
    forS: 0,
  },
  {
    ...source,
    name: 'KeyRefused',
    severity: 'warning',
    message:
      '{source}: {value} posts were refused in this hour and the one before: their key is not valid, or may not post',
    recovery: '{source}: no post was refused for an hour',
    measure: highest('source_refused_recent', ['service', 'source']),
    above: FEW_REFUSED,
    forS: 0,
  },
];
