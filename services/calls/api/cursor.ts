/**
 * Cursors: where a page ended, for the next one to go on. A cursor holds the place, who it was given to and which query
 * it belongs to, sealed (seal.ts).
 *
 * Of the query it holds a keyed hash of each filter: enough to name the one that differs, and no phone number that could
 * be read from a log.
 */
import { hash } from 'node:crypto';
import type { Place } from '../store/calls.ts';
import { createSeal } from './seal.ts';

/** The query's filters by name, as text; undefined where not set. */
export type CursorQuery = Readonly<Record<string, string | undefined>>;

export interface CursorContext {
  readonly query: CursorQuery;
  /** Whose view it pages through (see caller.ts). */
  readonly view: string;
}

export type OpenedCursor =
  | { readonly kind: 'place'; readonly place: Place }
  /** Not made here, or changed since. */
  | { readonly kind: 'forged' }
  /** Given to somebody else. */
  | { readonly kind: 'foreign' }
  /** Made for another query; `differs` names the filters. */
  | { readonly kind: 'other_query'; readonly differs: readonly string[] };

export interface Cursors {
  seal(place: Place, context: CursorContext): string;
  open(cursor: string, context: CursorContext): OpenedCursor;
}

interface Content {
  readonly t: string;
  readonly i: number;
  readonly v: string;
  readonly q: Readonly<Record<string, string>>;
}

const FILTER_HASH_CHARACTERS = 8;

export function createCursors(secret: Buffer): Cursors {
  const sealed = createSeal(secret, 'cursor');
  // The key comes first and only a few characters stay, so nothing can be appended to what was hashed.
  const key = secret.toString('base64url');
  const filterHash = (name: string, value: string) =>
    hash('sha256', `${key} filter ${name} ${value}`, 'base64url');
  const hashes = (query: CursorQuery): Record<string, string> =>
    Object.fromEntries(
      Object.entries(query).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, filterHash(name, value).slice(0, FILTER_HASH_CHARACTERS)]],
      ),
    );
  return {
    seal: (place, { query, view }) => {
      const content: Content = { t: place.start_time, i: place.i_cdr, v: view, q: hashes(query) };
      return sealed.seal(JSON.stringify(content));
    },
    open: (cursor, { query, view }) => {
      const opened = sealed.open(cursor);
      if (opened === undefined) return { kind: 'forged' };
      const content = JSON.parse(opened) as Content;
      if (content.v !== view) return { kind: 'foreign' };
      const now = hashes(query);
      const differs = [...new Set([...Object.keys(content.q), ...Object.keys(now)])].filter(
        (name) => content.q[name] !== now[name],
      );
      if (differs.length > 0) return { kind: 'other_query', differs };
      return { kind: 'place', place: { start_time: content.t, i_cdr: content.i } };
    },
  };
}
