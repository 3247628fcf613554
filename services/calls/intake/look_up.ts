/** Looks up which of a batch's call ids are known, in one to three statements for all of them. */
import type { Session } from '#platform/database/session.ts';
import { monthOfICdr } from '../i_cdr.ts';
import { addMonths, type Month, monthOf, startOfMonth } from '../months.ts';
import {
  type CallsTable,
  findCalls,
  type LookUp,
  monthsWithIds,
  type Reach,
  type Span,
} from '../store/told_calls.ts';
import { TOLD } from '../told.ts';
import type { Batch } from './batch.ts';
import { type CallNumber, callIdOf, sourceKeyOf } from './call_columns.ts';
import type { ImportSource } from './import_source.ts';
import { ZONE_SPREAD_MS } from './same_call.ts';

/** A call that a row may repeat. */
export interface Candidate {
  readonly iCdr: number;
  /** 0: no known import. */
  readonly iImport: number;
  readonly sourceKey: string;
  /** Milliseconds since 1970. */
  readonly start: number;
  readonly told: number | null;
}

/** A call, and the import that stored it. */
export type StoredCall = Pick<Candidate, 'iCdr' | 'iImport'>;

/** Where to look for calls. */
export interface Tables {
  readonly tables: readonly CallsTable[];
  /** The present state of calls in calls.cdrs, in a table that takes precedence. */
  readonly superseded: ReadonlySet<number>;
}

export const STORED: Tables = { tables: ['calls.cdrs'], superseded: new Set() };

export interface LookedUp {
  /** Groups of one row that is known word for word, in the same reading: its call. */
  readonly known: ReadonlyMap<number, StoredCall>;
  /** For the others, by group: calls that they may repeat. */
  readonly candidates: ReadonlyMap<number, readonly Candidate[]>;
}

/** The tables may hold very many calls of an id that several rows of a batch have. */
const CROWD = 50;
/** This many are looked up in all months within reach at once, each with a limit. To find their months would cost as much. */
const FEW = 200;
/** The index tells whether a month has an id in an eighth of the time of a lookup. */
const ENTRIES_AN_ID = 2;
/** Rows of one id whose starts are further apart are looked up separately. */
const ONE_LOOK_UP_MS = 3_600_000;

export async function lookUp(
  session: Session,
  importSource: ImportSource,
  batch: Batch,
  groups: readonly CallNumber[][],
  tables: Tables,
): Promise<LookedUp> {
  const { key, startTime, told, otherIds } = batch.columns;
  const known = new Map<number, StoredCall>();
  const candidates = new Map<number, Candidate[]>();
  const sources = [importSource.source, ...importSource.namesBefore];
  const lookUpsOf = (places: Iterable<number>): { lookUps: LookUp[]; groupOf: number[] } => {
    const lookUps: LookUp[] = [];
    const groupOf: number[] = [];
    for (const place of places) {
      const group = groups[place]!;
      let start = Number.NaN;
      for (const call of group) {
        const isSure = group.length === 1 && !importSource.rules.replace && !(told[call]! & TOLD.name);
        const sourceKey = isSure ? sourceKeyOf(key[call]!) : '';
        const isNear = Math.abs(startTime[call]! - start) <= ONE_LOOK_UP_MS;
        if (!isNear) start = startTime[call]!;
        for (const callId of isNear ? otherIds[call]! : [callIdOf(key[call]!), ...otherIds[call]!]) {
          lookUps.push({ callId, sourceKey, told: told[call]!, start: startTime[call]! });
          groupOf.push(place);
        }
      }
    }
    return { lookUps, groupOf };
  };
  const find = async (places: Iterable<number>, reach: Reach): Promise<void> => {
    const { lookUps, groupOf } = lookUpsOf(places);
    if (lookUps.length === 0) return;
    for (const table of tables.tables) {
      const found = await session.row(findCalls(lookUps, sources, reach, table));
      const add = (group: number, candidate: Candidate): void => {
        if (table === 'calls.cdrs' && tables.superseded.has(candidate.iCdr)) return;
        const list = candidates.get(group) ?? [];
        candidates.set(group, list);
        if (!list.some((other) => other.iCdr === candidate.iCdr)) list.push(candidate);
      };
      for (const [place, iCdr, iImport] of numbersOf(found!.known)) {
        const group = groupOf[place! - 1]!;
        const call = groups[group]![0]!;
        const stored = { iCdr: iCdr!, iImport: iImport! };
        // A call that an earlier batch of a dry run has changed counts in its changed state.
        if (readAlike(importSource, stored)) known.set(group, stored);
        else
          add(group, {
            ...{ ...stored, sourceKey: sourceKeyOf(key[call]!), start: startTime[call]!, told: told[call]! },
          });
      }
      for (const candidate of (found!.perhaps ?? '').split(',')) {
        if (candidate === '') continue;
        const [place, iCdr, iImport, sourceKey, start, itsTold] = candidate.split(' ');
        add(groupOf[Number(place) - 1]!, {
          iCdr: Number(iCdr),
          iImport: Number(iImport),
          sourceKey: sourceKey!,
          start: Number(start),
          told: itsTold === undefined ? null : Number(itsTold),
        });
      }
    }
  };
  const usual = { nearMs: ZONE_SPREAD_MS };
  if (groups.length <= FEW) await find(groups.keys(), { ...usual, limited: true });
  else if (batch.sharedIds.size === 0) await find(groups.keys(), usual);
  else {
    const isCrowded = (place: number) => groups[place]!.length > CROWD;
    await find(
      [...groups.keys()].filter((place) => !isCrowded(place)),
      usual,
    );
    await find([...groups.keys()].filter(isCrowded), { ...usual, limited: true });
  }
  if (importSource.rules.idsReused) return { known, candidates };
  const unfound = [...groups.keys()].filter((place) => !known.has(place) && !candidates.has(place));
  if (unfound.length === 0) return { known, candidates };
  const within = await farMonths(session, importSource, lookUpsOf(unfound).lookUps, sources);
  if (within !== null) await find(unfound, { nearMs: importSource.farMs, within });
  return { known, candidates };
}

const numbersOf = (text: string | null): number[][] =>
  text === null ? [] : text.split(',').map((entry) => entry.split(' ').map(Number));

/** Whether the import that stored a call reads rows as this one does. Then rows with the same words are the same call. */
export const readAlike = (importSource: ImportSource, { iImport }: StoredCall): boolean =>
  iImport === importSource.iImport || importSource.alike.has(iImport);

/** The calls with a known key: the rest of the recognition of rows whose call id names no call. */
export async function knownByKey(
  session: Session,
  importSource: ImportSource,
  { columns }: Batch,
  calls: readonly CallNumber[],
  { tables }: Tables,
): Promise<Set<CallNumber>> {
  const { key, keyBefore, startTime } = columns;
  const known = new Set<CallNumber>();
  const asked: CallNumber[] = [];
  const lookUps: LookUp[] = [];
  for (const call of calls) {
    for (const sourceKey of [sourceKeyOf(key[call]!), keyBefore[call]!]) {
      if (sourceKey === '') continue;
      asked.push(call);
      lookUps.push({ callId: callIdOf(key[call]!), sourceKey, told: 0, start: startTime[call]! });
    }
  }
  if (lookUps.length === 0) return known;
  const sources = [importSource.source, ...importSource.namesBefore];
  for (const table of tables) {
    const reach = { nearMs: ZONE_SPREAD_MS, byKey: true } as const;
    const found = await session.row(findCalls(lookUps, sources, reach, table));
    for (const place of `${found!.known ?? ''},${found!.perhaps ?? ''}`.split(',')) {
      if (place !== '') known.add(asked[Number.parseInt(place, 10) - 1]!);
    }
  }
  return known;
}

/** The range of months that may hold calls with these ids, however far from the rows. Null: there is none. */
async function farMonths(
  session: Session,
  { farMs }: ImportSource,
  lookUps: readonly LookUp[],
  sources: readonly string[],
): Promise<Span | null> {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [firstId, lastId] = [lookUps[0]!.callId, lookUps[0]!.callId];
  for (const { start, callId } of lookUps) {
    first = Math.min(first, start);
    last = Math.max(last, start);
    if (callId < firstId) firstId = callId;
    if (callId > lastId) lastId = callId;
  }
  const months = monthsBetween(Math.max(0, first - farMs), last + farMs);
  if (lookUps.length <= FEW) return { from: months[0]!.from, to: months.at(-1)!.to };
  const most = ENTRIES_AN_ID * lookUps.length;
  const found = await session.rows(monthsWithIds(months, firstId, lastId, sources, most));
  if (found.length === 0) return null;
  return { from: months[found[0]!.place - 1]!.from, to: months[found.at(-1)!.place - 1]!.to };
}

function monthsBetween(from: number, to: number): Span[] {
  const months: Span[] = [];
  for (let month: Month = monthOf(from); month <= monthOf(to); month = addMonths(month, 1)) {
    months.push(spanOf(month));
  }
  return months;
}

const spanOf = (month: Month): Span => ({
  from: Date.parse(startOfMonth(month)),
  to: Date.parse(startOfMonth(addMonths(month, 1))),
});

/** The months of calls with these numbers. */
export function spanOfNumbers(iCdrs: readonly number[]): Span {
  const months = iCdrs.map((iCdr) => monthOfICdr(iCdr)!);
  const first = months.reduce((least, month) => Math.min(least, month));
  const last = months.reduce((most, month) => Math.max(most, month));
  return { from: spanOf(first).from, to: spanOf(last).to };
}
