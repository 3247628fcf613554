/**
 * Makes a call from the records that are left once an import is undone. They are combined again in their original order,
 * by the rules of each import. No I/O.
 */
import { I_CDR_MONTH, iCdrOf } from '../i_cdr.ts';
import { copyLine } from './copy_text.ts';
import type { Cdr } from './normalize.ts';
import { type AccountOf, toldToo } from './put_together.ts';
import { decide, type SameCallRules } from './same_call.ts';
import { copyLineAsJson, fromCopyLine, type ToldCall } from './told_call.ts';

/** An import's version of a call. */
export interface Telling {
  readonly iImport: number | null;
  readonly call: ToldCall;
  /** The same as JSON, by the columns of calls.cdrs. */
  readonly json: string;
  readonly keyBefore: string;
  readonly ended: boolean;
  readonly outcome: TellingOutcome;
  /** RFC 3339. The same for all records of one batch. 1970 where it is unknown. */
  readonly toldAt: string;
}

export type TellingOutcome = 'stored' | 'completed' | 'duplicate' | 'conflict';

/** A version that a later record has replaced. */
export interface ReplacedVersion {
  readonly by: Telling;
  readonly json: string;
  /** Milliseconds since 1970. */
  readonly start: number;
}

/** A call that several records make together. */
export interface Refolded {
  /** It is the first record, unchanged, or `cdr`. */
  readonly first: Telling;
  readonly cdr: Cdr | null;
  readonly call: ToldCall;
  readonly told: readonly { readonly telling: Telling; readonly outcome: TellingOutcome }[];
  readonly replaced: readonly ReplacedVersion[];
}

interface Folding extends Refolded {
  cdr: Cdr | null;
  call: ToldCall;
  readonly told: { telling: Telling; outcome: TellingOutcome }[];
  readonly replaced: ReplacedVersion[];
  /** The last batch that changed it, and the version before that: one version is kept for each batch. */
  batch: string;
  before: Omit<ReplacedVersion, 'by'> | null;
}

/** Records of one batch have one import and one time. */
const batchOf = ({ iImport, toldAt }: Telling): string => `${iImport} ${toldAt}`;

/** @param rulesOf an import's */
export function refold(
  tellings: readonly Telling[],
  rulesOf: (iImport: number | null) => SameCallRules,
  accountOf: AccountOf,
): Refolded[] {
  const calls: Folding[] = [];
  for (const telling of tellings) {
    const { call: row, iImport, keyBefore } = telling;
    const known = calls.map(({ call }) => call);
    const decision = decide(known, row, rulesOf(iImport), keyBefore);
    if (decision.kind === 'new') {
      const told = [{ telling, outcome: 'stored' as const }];
      const batch = batchOf(telling);
      calls.push({ first: telling, cdr: null, call: row, told, replaced: [], batch, before: null });
      continue;
    }
    const of = calls.find(({ call }) => call === decision.of)!;
    if (decision.kind === 'duplicate' || decision.kind === 'conflict') {
      of.told.push({ telling, outcome: decision.kind });
      continue;
    }
    of.told.push({ telling, outcome: 'completed' });
    if (of.batch !== batchOf(telling)) {
      of.batch = batchOf(telling);
      of.before = { json: jsonOf(of, of.call.iCdr), start: of.call.startTime };
    }
    if (decision.kind === 'replaced' && of.before !== null) {
      of.replaced.push({ by: telling, ...of.before });
      of.before = null;
    }
    of.cdr = toldToo(of.call, row, decision, accountOf, true, Date.parse(telling.toldAt));
    of.call = { ...fromCopyLine(copyLine(of.cdr, of.call.line, of.call)), iCdr: of.call.iCdr };
  }
  return calls;
}

/** Its number, by the part that stays in any month. */
export const numberedAs = ({ call }: Refolded, number: number): number =>
  iCdrOf(call.startTime, number % I_CDR_MONTH);

/** The call as JSON, by the columns of calls.cdrs. */
export function jsonOf({ first, cdr, call }: Pick<Refolded, 'first' | 'cdr' | 'call'>, iCdr: number): string {
  return cdr === null ? first.json : copyLineAsJson(copyLine(cdr, call.line, call), iCdr);
}

/** When it ended, in milliseconds since 1970. */
export const endOf = ({ call }: Refolded): number =>
  call.disconnectTime ?? call.startTime + call.durationS * 1000;
