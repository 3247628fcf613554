/**
 * Cursors: where a page ended, for the next one to go on. A cursor holds the place, who it was given to and which query
 * it belongs to, and a mark (HMAC) that only this service can make; nothing in it can be changed or made up.
 *
 *   base64url(JSON) "." base64url(first 16 bytes of HMAC-SHA256)
 *
 * Of the query it holds a keyed hash of each filter: enough to name the one that differs, and no phone number that could
 * be read from a log.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Place } from '../store/calls.ts';

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

const MARK_BYTES = 16;
const FILTER_HASH_CHARACTERS = 8;
const LONGEST_CURSOR = 2_000;
/** At least as many as an HMAC-SHA256 gives. */
export const SECRET_BYTES = 32;

export function createCursors(secret: Buffer): Cursors {
  const hmac = (text: string) => createHmac('sha256', secret).update(text).digest();
  const mark = (body: string) => hmac(`cursor ${body}`).subarray(0, MARK_BYTES);
  const hashes = (query: CursorQuery): Record<string, string> =>
    Object.fromEntries(
      Object.entries(query).flatMap(([name, value]) =>
        value === undefined
          ? []
          : [[name, hmac(`filter ${name} ${value}`).toString('base64url').slice(0, FILTER_HASH_CHARACTERS)]],
      ),
    );
  return {
    seal: (place, { query, view }) => {
      const content: Content = { t: place.start_time, i: place.i_cdr, v: view, q: hashes(query) };
      const body = Buffer.from(JSON.stringify(content)).toString('base64url');
      return `${body}.${mark(body).toString('base64url')}`;
    },
    open: (cursor, { query, view }) => {
      const [body, given, ...rest] = cursor.length <= LONGEST_CURSOR ? cursor.split('.') : [];
      if (body === undefined || given === undefined || rest.length > 0) return { kind: 'forged' };
      const expected = mark(body);
      const got = Buffer.from(given, 'base64url');
      // Base64 has several spellings of the same bytes: only the one that was given out is taken.
      const isOurs =
        got.length === MARK_BYTES && timingSafeEqual(got, expected) && got.toString('base64url') === given;
      if (!isOurs) return { kind: 'forged' };
      const content = JSON.parse(Buffer.from(body, 'base64url').toString()) as Content;
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
