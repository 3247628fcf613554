/**
 * Cursors: the position at which a page of a list ended and the next page begins. A cursor also holds the view and the
 * query that it was made for. It is sealed (seal.ts), so no phone number of its query can be read from a log.
 */
import { hash } from 'node:crypto';
import { createSeal } from './seal.ts';

/** The query's filters by name, as text; undefined where not set. */
export type CursorQuery = Readonly<Record<string, string | undefined>>;

export interface CursorContext {
  readonly query: CursorQuery;
  /** The caller's view: callers with the same view may use each other's cursors. */
  readonly view: string;
}

export type OpenedCursor<Position> =
  | { readonly kind: 'position'; readonly position: Position }
  /** Not made by this service, or changed since. */
  | { readonly kind: 'forged' }
  /** Made by an earlier version, in another form. */
  | { readonly kind: 'former' }
  /** Made for another view. */
  | { readonly kind: 'foreign' }
  /** Made for another query; `differs` names the filters. */
  | { readonly kind: 'other_query'; readonly differs: readonly string[] };

export interface Cursors<Position> {
  seal(position: Position, context: CursorContext): string;
  open(cursor: string, context: CursorContext): OpenedCursor<Position>;
}

interface Content<Position> {
  readonly at: Position;
  readonly view: string;
  readonly query: Readonly<Record<string, string>>;
}

/** A longer value is replaced by its hash, so that a cursor stays short. */
const LONGEST_VALUE_BYTES = 64;

/** @param Position the position at which a list continues, as a JSON value */
export function createCursors<Position>(secret: Buffer): Cursors<Position> {
  const { seal, open } = createSeal(secret, 'cursor');
  return {
    seal: (at, { query, view }) => {
      const content: Content<Position> = { at, view, query: shortened(query) };
      return seal(JSON.stringify(content));
    },
    open: (cursor, { query, view }) => {
      const opened = open(cursor);
      if (opened === undefined) return { kind: 'forged' };
      const content = JSON.parse(opened) as Content<Position>;
      if (content.at === undefined) return { kind: 'former' };
      if (content.view !== view) return { kind: 'foreign' };
      const now = shortened(query);
      const names = new Set([...Object.keys(content.query), ...Object.keys(now)]);
      const differs = [...names].filter((name) => content.query[name] !== now[name]);
      if (differs.length > 0) return { kind: 'other_query', differs };
      return { kind: 'position', position: content.at };
    },
  };
}

const shortened = (query: CursorQuery): Record<string, string> =>
  Object.fromEntries(
    Object.entries(query).flatMap(([name, value]) => {
      if (value === undefined) return [];
      const isLong = Buffer.byteLength(value) > LONGEST_VALUE_BYTES;
      return [[name, isLong ? hash('sha256', value, 'base64url') : value]];
    }),
  );
