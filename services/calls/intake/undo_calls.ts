/** Undoes an import's part in some calls: each is made again from the records of other imports. */
import type { Session } from '#platform/database/session.ts';
import { I_CDR_MONTH } from '../i_cdr.ts';
import type { Account } from '../store/account_rows.ts';
import { takeNumbers } from '../store/intake.ts';
import {
  accountsByNumber,
  putBack,
  startsOfCalls,
  takeBack,
  tidyUsage,
  type UsagePlace,
} from '../store/told_calls.ts';
import {
  type AgainRow,
  type CountChange,
  changeCounts,
  endToldAgain,
  forgetCalls,
  giveCalls,
  importOptions,
  inheritToldAgain,
  type KeptTelling,
  type KeptVersion,
  type LeftCall,
  provisionalOf,
  putHistory,
  putProvisional,
  putTellings,
  renumbered,
  retellAccounts,
  retellWatermark,
  type TellingRow,
  tellingsOf,
  toldAgainBy,
  type UndoState,
} from '../store/undo.ts';
import { rulesOf } from './import_source.ts';
import { spanOfNumbers } from './look_up.ts';
import {
  endOf,
  jsonOf,
  numberedAs,
  type Refolded,
  refold,
  type Telling,
  type TellingOutcome,
} from './refold.ts';
import type { SameCallRules } from './same_call.ts';
import { fromRow } from './told_call.ts';

export interface UndoneCalls {
  /** Calls that no other import has. */
  readonly removed: number;
  /** Its own calls that other imports have, too. */
  readonly kept: number;
  /** The imports that have those now. */
  readonly keptBy: readonly number[];
  /** Calls of other imports. */
  readonly restored: number;
}

/** A record with its place among all; 0 for the state of a call without notes. */
interface Placed extends Telling {
  readonly place: number;
  /** Its number among its import's records: 0 for the one that stored the call. */
  readonly nth: number;
}

/** A call of which a part is undone. */
interface Undone {
  readonly iCdr: number;
  readonly isOwn: boolean;
  /** The remaining records, in order. */
  readonly left: readonly Placed[];
  /** Others repeated the import's record word for word: one of them has the call now, and all others repeated it, too. */
  readonly heir: number | undefined;
}

/** @param iCdrs of calls that the import stored or changed */
export async function undoCalls(
  session: Session,
  state: UndoState,
  iCdrs: readonly number[],
): Promise<UndoneCalls> {
  const { i_import: iImport, source } = state;
  const span = spanOfNumbers(iCdrs);
  const rows = await session.rows(tellingsOf(iCdrs, span));
  const numbers = iCdrs.map((iCdr) => iCdr % I_CDR_MONTH);
  const again = againByNumber(await session.rows(toldAgainBy(iImport, numbers)), numbers);
  const byCall = Map.groupBy(rows, ({ of }) => of);
  const undone = iCdrs.map((iCdr) => withoutImport(iCdr, iImport, byCall.get(iCdr) ?? [], again));
  for (const [heir, its] of numbersByHeir(undone)) await session.run(inheritToldAgain(iImport, heir, its));
  if (again.size > 0) await session.run(endToldAgain(iImport, numbers));
  const changes = createChanges();
  // Their one record is the calls themselves: they change their import, and no sum changes.
  const isItsOwnNote = (rows: readonly TellingRow[]) => rows.length === 1 && rows[0]!.place === 0;
  const handed = undone.filter(({ heir, iCdr }) => heir !== undefined && isItsOwnNote(byCall.get(iCdr)!));
  if (handed.length > 0) {
    const heirs = handed.map(({ left }) => left[0]!.iImport!);
    await session.run(
      giveCalls(
        handed.map(({ iCdr }) => iCdr),
        heirs,
        span,
      ),
    );
    for (const { left } of handed) changes.told(left[0]!, 'stored', end(left[0]!), left[0]!.call.iAccount);
  }
  const others = undone.filter((one) => !handed.includes(one));
  if (others.length > 0) await putTogetherAnew(session, others, changes);
  await changes.write(session, source);
  return {
    removed: undone.filter(({ isOwn, left }) => isOwn && left.length === 0).length,
    kept: undone.filter(({ isOwn, left }) => isOwn && left.length > 0).length,
    keptBy: [...new Set(undone.flatMap(({ isOwn, left }) => (isOwn && left[0]?.iImport) || []))],
    restored: undone.filter(({ isOwn }) => !isOwn).length,
  };
}

const end = ({ call }: Telling): number => call.disconnectTime ?? call.startTime + call.durationS * 1000;

/** The imports that repeated a call, by its number, word for word. */
type Again = ReadonlyMap<number, readonly AgainRow[]>;

function againByNumber(rows: readonly AgainRow[], numbers: readonly number[]): Again {
  const asked = numbers.toSorted((a, b) => a - b);
  const again = new Map<number, AgainRow[]>();
  for (const row of rows) {
    for (const [, from, below] of row.numbers.matchAll(/[[(](\d+),(\d+)[)\]]/g)) {
      for (const number of asked) {
        if (number < Number(from)) continue;
        if (number >= Number(below)) break;
        const list = again.get(number) ?? [];
        again.set(number, list);
        if (!list.some(({ by, same_nth: nth }) => by === row.by && nth === row.same_nth)) list.push(row);
      }
    }
  }
  return again;
}

/** Numbers of calls by the import that has them now, since it repeated them. */
function numbersByHeir(undone: readonly Undone[]): Map<number, number[]> {
  const numbers = new Map<number, number[]>();
  for (const { heir, iCdr } of undone)
    if (heir !== undefined) numbers.set(heir, [...(numbers.get(heir) ?? []), iCdr % I_CDR_MONTH]);
  return numbers;
}

/** The rest of a call: the records of others in their own words, and their word-for-word repetitions. */
function withoutImport(iCdr: number, iImport: number, rows: readonly TellingRow[], again: Again): Undone {
  const placed = rows.map(
    (row): Placed => ({
      place: row.place,
      iImport: row.by,
      nth: row.nth,
      call: fromRow(row as unknown as Record<string, string | null>),
      json: row.json,
      keyBefore: row.key_before,
      ended: row.ended,
      outcome: row.outcome as TellingOutcome,
      toldAt: row.told_at,
    }),
  );
  const left = placed.filter((telling) => telling.iImport !== iImport);
  const own = placed.filter((telling) => telling.iImport === iImport);
  const same = again.get(iCdr % I_CDR_MONTH) ?? [];
  const isOwn = placed[0]?.iImport === iImport;
  const [first] = same;
  const toldAs = ({ place, by, same_nth, told_at }: AgainRow, nth: number): Placed[] =>
    own
      .filter((telling) => telling.nth === same_nth)
      .map((telling) => ({
        ...telling,
        ...{ place, iImport: by, nth, toldAt: told_at, outcome: 'duplicate' as const, ended: true },
      }));
  // All of them are the same, and there is no other record: the first one stands for all.
  if (first && left.length === 0 && same.every(({ same_nth: nth }) => nth === first.same_nth))
    return { iCdr, isOwn, left: toldAs(first, 0), heir: first.by };
  // No other record of that import has such a number.
  const all = [...left, ...same.flatMap((row) => toldAs(row, -row.place))];
  const isBase = (telling: Placed) => placed[0] === telling;
  all.sort((a, b) => (isBase(a) ? -1 : isBase(b) ? 1 : a.place - b.place));
  return { iCdr, isOwn, left: all, heir: undefined };
}

/** Removes calls, and stores the records that others have of them. */
async function putTogetherAnew(session: Session, undone: readonly Undone[], changes: Changes): Promise<void> {
  const iCdrs = undone.map(({ iCdr }) => iCdr);
  const span = spanOfNumbers(iCdrs);
  const places: UsagePlace[] = await session.rows(startsOfCalls(iCdrs, span));
  const provisional = new Set((await session.rows(provisionalOf(iCdrs))).map(({ i_cdr: iCdr }) => iCdr));
  await session.row(takeBack(iCdrs, span));
  const refolded = await refoldAll(session, undone);
  const extra = refolded.reduce((sum, { calls }) => sum + Math.max(0, calls.length - 1), 0);
  const taken = extra === 0 ? undefined : await session.row(takeNumbers(extra));
  const numbers = taken?.numbers.split(',').map(Number) ?? [];
  const back: LeftCall[] = [];
  const tellings: KeptTelling[] = [];
  const versions: KeptVersion[] = [];
  const cut: { iCdr: number; was: number; before: string | null }[] = [];
  for (const { of, calls, withoutCut } of refolded) {
    for (const [index, call] of calls.entries()) {
      const number = index === 0 ? of.iCdr : numbers.pop()!;
      const iCdr = numberedAs(call, number);
      const json = jsonOf(call, iCdr);
      const kept = keptTellings(call, iCdr);
      back.push({ json, iCdr, iImport: call.first.iImport, isNoted: kept.some(({ isBase }) => isBase) });
      places.push({ iAccount: call.call.iAccount, start: call.call.startTime });
      tellings.push(...kept);
      for (const { by, json: version, start } of call.replaced)
        versions.push({ iCdr, replacedAt: by.toldAt, iImport: by.iImport, start, json: version });
      for (const { telling, outcome } of call.told)
        changes.told(
          telling as Placed,
          outcome,
          outcome === 'stored' || outcome === 'completed' ? endOf(call) : 0,
          call.call.iAccount,
        );
      if (index === 0 && provisional.has(of.iCdr) && withoutCut !== undefined)
        cut.push({ iCdr, was: of.iCdr, before: withoutCut && jsonOf(withoutCut, iCdr) });
    }
  }
  const kept = new Set(cut.map(({ was }) => was));
  for (const statement of forgetCalls(
    iCdrs,
    iCdrs.filter((iCdr) => !kept.has(iCdr)),
  ))
    await session.run(statement);
  if (cut.length > 0) await session.run(putProvisional(cut));
  if (back.length > 0) {
    const calls = await session.rows(renumbered(back));
    await session.run(putBack(calls.map(({ call }) => call)));
  }
  if (tellings.length > 0) await session.run(putTellings(tellings));
  if (versions.length > 0) await session.run(putHistory(versions));
  for (const statement of tidyUsage(places)) await session.run(statement);
}

interface RefoldedCall {
  readonly of: Undone;
  readonly calls: readonly Refolded[];
  /** The call without incomplete rows. Null: there is none. Undefined: it has no values of such a row. */
  readonly withoutCut: Refolded | null | undefined;
}

async function refoldAll(session: Session, undone: readonly Undone[]): Promise<RefoldedCall[]> {
  const all = undone.flatMap(({ left }) => left);
  const iAccounts = [...new Set(all.map(({ call }) => call.iAccount))];
  const accounts = new Map<number, Account>();
  if (iAccounts.length > 0)
    for (const account of await session.rows(accountsByNumber(iAccounts)))
      accounts.set(account.i_account, account);
  const rules = new Map<number, SameCallRules>();
  const iImports = [...new Set(all.flatMap(({ iImport }) => iImport ?? []))];
  if (iImports.length > 0)
    for (const { i_import: iImport, format, options } of await session.rows(importOptions(iImports)))
      rules.set(iImport, rulesOf(format, options));
  const usual = rulesOf('', {});
  const fold = (tellings: readonly Placed[]) =>
    refold(
      tellings,
      (iImport) => rules.get(iImport ?? 0) ?? usual,
      (iAccount) => accounts.get(iAccount)!,
    );
  return undone.map((of) => ({
    of,
    calls: fold(of.left),
    withoutCut: of.left.every(({ ended }) => ended)
      ? undefined
      : (fold(of.left.filter(({ ended }) => ended))[0] ?? null),
  }));
}

/** A call in the state of its first record is itself the note of that record, if it is its import's first one too. */
function keptTellings({ first, cdr, told }: Refolded, iCdr: number): KeptTelling[] {
  const isItsOwnNote = cdr === null && (first as Placed).nth === 0;
  const noted = isItsOwnNote ? told.filter(({ telling }) => telling !== first) : told;
  return noted.map(({ telling, outcome }) => ({
    ...(telling as Placed),
    iCdr,
    isBase: telling === first,
    outcome,
  }));
}

interface Changes {
  /** @param end of the calls that it sent first or changed, in milliseconds since 1970 */
  told(telling: Placed, outcome: TellingOutcome, end: number, iAccount: number): void;
  write(session: Session, source: string): Promise<void>;
}

const COUNTED = {
  stored: 'stored',
  completed: 'completed',
  duplicate: 'duplicates',
  conflict: 'conflicts',
} as const;

/** The changed counts of other imports, and the calls that they sent first. */
function createChanges(): Changes {
  const changes = new Map<number, { -readonly [K in keyof CountChange]: CountChange[K] }>();
  const iAccounts = new Set<number>();
  return {
    told({ iImport, outcome: was }, outcome, end, iAccount) {
      if (iImport === null || was === outcome) return;
      const change = changes.get(iImport) ?? {
        stored: 0,
        completed: 0,
        duplicates: 0,
        conflicts: 0,
        toldTo: 0,
      };
      changes.set(iImport, change);
      change[COUNTED[was]]--;
      change[COUNTED[outcome]]++;
      change.toldTo = Math.max(change.toldTo, end);
      iAccounts.add(iAccount);
    },
    async write(session, source) {
      for (const [iImport, change] of changes) await session.run(changeCounts(iImport, change));
      if (iAccounts.size === 0) return;
      await session.run(retellWatermark(source));
      await session.run(retellAccounts(source, [...iAccounts]));
    },
  };
}
