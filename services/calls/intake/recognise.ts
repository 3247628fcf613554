/**
 * Finds which of a batch's rows are new, and compares the others with known calls: stored ones, and earlier rows of the
 * same batch. There are two look-ups for all rows, and one more for those that may be repeated. The rest is decided in
 * memory, in the order of the source, by same_call.ts.
 */
import type { Session } from '#platform/database/session.ts';
import type { Account } from '../store/account_rows.ts';
import { withoutProvisional } from '../store/provisional.ts';
import { accountsByNumber, callsByNumber, MAX_OF_ONE_ID } from '../store/told_calls.ts';
import { TOLD } from '../told.ts';
import type { Batch } from './batch.ts';
import { type CallNumber, callIdOf, sourceKeyOf } from './call_columns.ts';
import { copyLine } from './copy_text.ts';
import type { ImportSource } from './import_source.ts';
import {
  type Candidate,
  knownByKey,
  lookUp,
  readAlike,
  STORED,
  type StoredCall,
  spanOfNumbers,
  type Tables,
} from './look_up.ts';
import type { Cdr } from './normalize.ts';
import { type AccountOf, toldToo } from './put_together.ts';
import { type Decision, decide } from './same_call.ts';
import { fromCopyLine, fromRow, type ToldCall } from './told_call.ts';

/** A call whose line in calls.cdrs is no row's own, but combines several records. */
export interface Rewritten {
  /** As it is stored. Null: it is new. */
  readonly before: ToldCall | null;
  /** The row whose outcome it is, if it is new. */
  readonly row: CallNumber | null;
  readonly cdr: Cdr;
  /** The row's own, or that of the row which stored it. */
  readonly iImport: number | null;
  readonly line: number | null;
  readonly source: string;
  /** A record replaced the one before, which is kept as history. */
  readonly replaces: boolean;
  readonly of: Known;
}

export interface Recognised {
  /** New, and as their rows are. */
  readonly fresh: readonly CallNumber[];
  readonly rewritten: readonly Rewritten[];
  /** Rows that filled or replaced earlier values: their call. */
  readonly completed: ReadonlyMap<CallNumber, Known>;
  readonly conflicts: ReadonlyMap<CallNumber, Contradiction>;
  /** Stored calls that rows have repeated word for word. */
  readonly wordForWord: readonly StoredCall[];
  /** Rows that have repeated stored calls in other words, in order. */
  readonly toldAgain: readonly ToldAgain[];
}

/** A row that repeated a stored call in its own words. */
export interface ToldAgain {
  readonly call: CallNumber;
  readonly of: Known;
  readonly outcome: 'completed' | 'duplicate';
}

export interface Contradiction {
  readonly known: Known;
  readonly decision: Extract<Decision, { kind: 'conflict' }>;
}

/** A known call: stored, or a row of the batch. */
export interface Known {
  call: ToldCall;
  readonly stored: ToldCall | null;
  /** The row, if it is not stored. */
  readonly row: CallNumber | null;
  cdr: Cdr | null;
  replaces: boolean;
  /** Incomplete rows that have made or rewritten it. */
  readonly unended: CallNumber[];
  /** The call without an incomplete row. Undefined where it has no values of such a row. */
  without: Without | undefined;
}

/** A call without the values of an incomplete row. It is restored when that row has grown. */
export interface Without {
  /** Null: no other row has the call. */
  readonly call: ToldCall | null;
  /** Its COPY text without its i_cdr, if a row of the batch changed it. */
  readonly line: string | null;
  /** Otherwise the call as JSON. Null where it is the stored one. */
  readonly json: string | null;
}

export async function recognise(
  session: Session,
  importSource: ImportSource,
  batch: Batch,
  calls: readonly CallNumber[],
  now: number,
  tables: Tables = STORED,
): Promise<Recognised> {
  const groups = groupById(batch, calls);
  const { known, candidates } = await lookUp(session, importSource, batch, groups, tables);
  const fresh: CallNumber[] = [];
  const open: CallNumber[][] = [];
  const crowded: CallNumber[] = [];
  const wordForWord: StoredCall[] = [...known.values()];
  const toldAgain: ToldAgain[] = [];
  for (const [place, group] of groups.entries()) {
    if (known.has(place)) continue;
    const found = candidates.get(place) ?? [];
    if (found.length === 0 && group.length === 1) fresh.push(group[0]!);
    else if (found.length + group.length > MAX_OF_ONE_ID) crowded.push(...group);
    else {
      const said = group.map((call) => isKnown(importSource, batch, call, found));
      if (said.some((known) => known === null)) open.push(group);
      else wordForWord.push(...said.flatMap((known) => known ?? []));
    }
  }
  const knownToo = await knownByKey(session, importSource, batch, crowded, tables);
  fresh.push(...once(batch, crowded).filter((call) => !knownToo.has(call)));
  const completed = new Map<CallNumber, Known>();
  const conflicts = new Map<CallNumber, Contradiction>();
  const rewritten: Rewritten[] = [];
  if (open.length > 0) {
    const places = new Map(groups.map((group, place) => [group[0]!, place]));
    const candidatesOf = (group: CallNumber[]) => candidates.get(places.get(group[0]!)!) ?? [];
    const stored = await fetchCalls(session, open.flatMap(candidatesOf), tables);
    const rowsOf = (group: CallNumber[]) => group.map((call) => toldOfRow(batch, call));
    const accounts = accountsOfCalls(session);
    const without = await fetchWithout(session, importSource, stored);
    for (const group of open) {
      const rows = rowsOf(group);
      const itsStored = candidatesOf(group).flatMap(({ iCdr }) => stored.get(iCdr) ?? []);
      const itsKnown = itsStored.map((call) => knownCall(call, without.get(call.iCdr)));
      const decided = await decideGroup(importSource, batch, group, rows, itsKnown, accounts, now);
      for (const [call, of] of decided.completed) completed.set(call, of);
      for (const [call, contradiction] of decided.conflicts) conflicts.set(call, contradiction);
      toldAgain.push(...decided.toldAgain);
      for (const of of decided.known) {
        if (of.cdr !== null) rewritten.push(asRewritten(of, batch, importSource));
        else if (of.row !== null) fresh.push(of.row);
      }
    }
  }
  return { fresh, rewritten, completed, conflicts, wordForWord, toldAgain };
}

/** Whether other writers have stored calls meanwhile that these new ones may repeat. @param iCdrs of the calls */
export async function othersHaveStored(
  session: Session,
  importSource: ImportSource,
  batch: Batch,
  calls: readonly CallNumber[],
  iCdrs: readonly number[],
): Promise<boolean> {
  if (calls.length === 0) return false;
  const own = new Set(iCdrs);
  const groups = calls.map((call) => [call]);
  const anyRules = { ...importSource, rules: { ...importSource.rules, replace: true } };
  const { candidates } = await lookUp(session, anyRules, batch, groups, STORED);
  return [...candidates.values()].some((found) => found.some(({ iCdr }) => !own.has(iCdr)));
}

/** Calls by their call id, each group in the order of the source. */
function groupById(batch: Batch, calls: readonly CallNumber[]): CallNumber[][] {
  const { key } = batch.columns;
  if (batch.sharedIds.size === 0) return calls.map((call) => [call]);
  const groups: CallNumber[][] = [];
  const shared = new Map<string, CallNumber[]>();
  for (const call of calls) {
    const id = callIdOf(key[call]!);
    const group = batch.sharedIds.has(id) ? shared.get(id) : undefined;
    if (group) group.push(call);
    else {
      const begun = [call];
      groups.push(begun);
      if (batch.sharedIds.has(id)) shared.set(id, begun);
    }
  }
  return groups;
}

/** The first of the calls with each key. */
function once({ columns }: Batch, calls: readonly CallNumber[]): CallNumber[] {
  const keys = new Set<string>();
  return calls.filter((call) => {
    const { size } = keys;
    return keys.add(columns.key[call]!).size > size;
  });
}

/** To the microsecond, of which a double of milliseconds since 1970 holds a quarter. */
const SAME_START_MS = 0.000_6;

/** The candidate whose row has the same values and was read in the same way. Null where there is none. */
function isKnown(
  importSource: ImportSource,
  batch: Batch,
  call: CallNumber,
  found: readonly Candidate[],
): StoredCall | null {
  const { key, told, keyBefore, startTime } = batch.columns;
  if (importSource.rules.replace || told[call]! & TOLD.name) return null;
  const sourceKey = sourceKeyOf(key[call]!);
  const same = found.find((candidate) =>
    candidate.told === null
      ? !importSource.readByMapping && candidate.sourceKey === keyBefore[call]
      : candidate.sourceKey === sourceKey &&
        candidate.told === told[call] &&
        Math.abs(candidate.start - startTime[call]!) < SAME_START_MS &&
        readAlike(importSource, candidate),
  );
  return same ?? null;
}

async function fetchCalls(
  session: Session,
  candidates: readonly Candidate[],
  tables: Tables,
): Promise<Map<number, ToldCall>> {
  const calls = new Map<number, ToldCall>();
  const iCdrs = [...new Set(candidates.map(({ iCdr }) => iCdr))];
  if (iCdrs.length === 0) return calls;
  // A call of the dry run's own replaces the stored one.
  for (const table of tables.tables.toReversed()) {
    for (const row of await session.rows(callsByNumber(iCdrs, spanOfNumbers(iCdrs), table))) {
      const call = fromRow(row);
      calls.set(call.iCdr, call);
    }
  }
  return calls;
}

const lineOf = ({ bytes, columns }: Batch, call: CallNumber): string =>
  bytes.toString('utf8', columns.textFrom[call], columns.textTo[call]);

const toldOfRow = (batch: Batch, call: CallNumber): ToldCall => fromCopyLine(lineOf(batch, call));

/** For calls with values of an incomplete row: the calls without that row. */
async function fetchWithout(
  session: Session,
  importSource: ImportSource,
  stored: ReadonlyMap<number, ToldCall>,
): Promise<Map<number, Without>> {
  const without = new Map<number, Without>();
  if (stored.size === 0) return without;
  const sources = [importSource.source, ...importSource.namesBefore];
  for (const { of, json, ...before } of await session.rows(withoutProvisional(sources, [...stored.keys()])))
    without.set(Number(of), { call: json === null ? null : fromRow(before), line: null, json: json! });
  return without;
}

const NOTHING: Without = { call: null, line: null, json: null };

const knownCall = (stored: ToldCall, without: Without | undefined): Known => ({
  ...{ call: stored, stored, row: null, cdr: null, replaces: false, unended: [], without },
});

const knownRow = (call: ToldCall, row: CallNumber, isEnded: boolean): Known => ({
  ...{ call, stored: null, row, cdr: null, replaces: false, unended: isEnded ? [] : [row] },
  without: isEnded ? undefined : NOTHING,
});

type FindAccountsOfCalls = (calls: readonly ToldCall[]) => Promise<AccountOf>;

/** Accounts by number, queried when a call is combined. */
function accountsOfCalls(session: Session): FindAccountsOfCalls {
  const known = new Map<number, Account>();
  return async (calls) => {
    const missing = [...new Set(calls.map(({ iAccount }) => iAccount))].filter((i) => !known.has(i));
    if (missing.length > 0) {
      for (const account of await session.rows(accountsByNumber(missing)))
        known.set(account.i_account, account);
    }
    // A dry run has accounts that are not created.
    return (i) =>
      known.get(i) ?? {
        i_account: i,
        code: '',
        currency: calls[0]!.currency,
        country: null,
        closed_from: null,
      };
  };
}

async function decideGroup(
  importSource: ImportSource,
  batch: Batch,
  group: readonly CallNumber[],
  rows: readonly ToldCall[],
  stored: readonly Known[],
  accounts: FindAccountsOfCalls,
  now: number,
): Promise<{
  known: Known[];
  completed: [CallNumber, Known][];
  conflicts: [CallNumber, Contradiction][];
  toldAgain: ToldAgain[];
}> {
  const known = [...stored];
  const told = [...rows, ...stored.flatMap(({ call, without }) => [call, without?.call ?? call])];
  const completed: [CallNumber, Known][] = [];
  const conflicts: [CallNumber, Contradiction][] = [];
  const toldAgain: ToldAgain[] = [];
  for (const [index, call] of group.entries()) {
    const row = rows[index]!;
    const keyBefore = batch.columns.keyBefore[call]!;
    const isEnded = batch.columns.ended[call] === 1;
    const decision = decide(
      known.map((of) => of.call),
      row,
      importSource.rules,
      keyBefore,
    );
    if (decision.kind === 'new') {
      known.push(knownRow(row, call, isEnded));
      continue;
    }
    const of = known.find((candidate) => candidate.call === decision.of)!;
    if (decision.kind !== 'conflict' && of.stored !== null)
      toldAgain.push({ call, of, outcome: decision.kind === 'duplicate' ? 'duplicate' : 'completed' });
    if (decision.kind === 'duplicate') continue;
    if (decision.kind === 'conflict') {
      conflicts.push([call, { known: of, decision }]);
      continue;
    }
    const accountOf = await accounts(told);
    if (!isEnded) {
      of.unended.push(call);
      of.without ??= asItIs(of);
    } else if (of.without !== undefined)
      of.without = toldWithout(of.without, call, row, keyBefore, accountOf);
    const cdr = toldToo(of.call, row, decision, accountOf, of.stored !== null, now);
    of.cdr = cdr;
    of.replaces ||= decision.kind === 'replaced';
    of.call = { ...fromCopyLine(copyLine(cdr, of.call.line, of.call)), iCdr: of.call.iCdr };
    completed.push([call, of]);
  }
  return { known, completed, conflicts, toldAgain };

  function asItIs({ call, stored, row, cdr }: Known): Without {
    const rowsOwn = stored === null ? lineOf(batch, row!) : null;
    return { call, line: cdr === null ? rowsOwn : copyLine(cdr, call.line, call), json: null };
  }

  function toldWithout(
    without: Without,
    call: CallNumber,
    row: ToldCall,
    keyBefore: string,
    accountOf: AccountOf,
  ): Without {
    if (without.call === null) return { call: row, line: lineOf(batch, call), json: null };
    const decision = decide([without.call], row, importSource.rules, keyBefore);
    if (decision.kind !== 'completed' && decision.kind !== 'replaced') return without;
    const line = copyLine(
      toldToo(without.call, row, decision, accountOf, true, now),
      without.call.line,
      without.call,
    );
    return { call: { ...fromCopyLine(line), iCdr: without.call.iCdr }, line, json: null };
  }
}

function asRewritten(of: Known, batch: Batch, importSource: ImportSource): Rewritten {
  const { stored, row, cdr, replaces, call } = of;
  return {
    of,
    before: stored,
    row,
    cdr: cdr!,
    iImport: stored === null ? importSource.iImport : stored.iImport,
    line: row === null ? call.line : batch.columns.line[row]!,
    source: call.source,
    replaces,
  };
}
