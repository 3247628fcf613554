/**
 * Finds where the elements of a JSON array begin and end, without parsing them. So the array of a large body is parsed
 * element by element, and an element that is too large is not parsed at all. This file follows only brackets, commas and
 * quotes; the parser finds other faults of an element.
 */
import {
  ARRAY_CLOSE,
  ARRAY_OPEN,
  BACKSLASH,
  COLON,
  COMMA,
  isBlank,
  OBJECT_CLOSE,
  OBJECT_OPEN,
  QUOTE,
} from './json_bytes.ts';

export interface JsonElement {
  /** Its bytes are from here up to, not including, `to`. */
  readonly from: number;
  readonly to: number;
  /** Names of objects in it, at any depth. */
  readonly keys: number;
  /** Levels of objects and arrays; 0: the element is neither. */
  readonly depth: number;
}

export interface JsonArrayScan {
  /** The elements so far, at most as many as are kept. */
  readonly elements: readonly JsonElement[];
  /** The number of all elements, kept or not. */
  readonly count: number;
  /**
   * Advances by so many bytes.
   * @returns whether it has come to the end
   * @throws SyntaxError with the place of the fault
   */
  step(bytes: number): boolean;
}

/** The place of the first byte that is no blank. A byte-order mark counts as a blank. */
export function beginOfJson(body: Buffer): number {
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  while (isBlank(body[at])) at++;
  return at;
}

/** Whether a body is an array, by its first byte. */
export const isJsonArray = (body: Buffer): boolean => body[beginOfJson(body)] === ARRAY_OPEN;

/** @param keep the largest number of elements to return */
export function scanJsonArray(body: Buffer, keep: number): JsonArrayScan {
  const elements: JsonElement[] = [];
  let count = 0;
  let at = beginOfJson(body) + 1;
  /** 1 within the array itself, 0 behind it. */
  let level = 1;
  let inText = false;
  let from = -1;
  let to = -1;
  let keys = 0;
  let deepest = 0;
  let wantsElement = false;

  const fault = (place: number) => new SyntaxError(`it breaks at position ${place}`);

  function endElement(place: number): void {
    if (from === -1) throw fault(place);
    if (count++ < keep) elements.push({ from, to, keys, depth: deepest });
    from = -1;
    keys = deepest = 0;
  }

  function structure(byte: number): void {
    if (level === 0) throw fault(at);
    if (level === 1 && byte === COMMA) {
      endElement(at);
      wantsElement = true;
      return;
    }
    if (level === 1 && byte === ARRAY_CLOSE) {
      if (from !== -1 || wantsElement) endElement(at);
      level = 0;
      return;
    }
    if (from === -1) from = at;
    wantsElement = false;
    if (byte === QUOTE) inText = true;
    else if (byte === COLON) keys++;
    else if (byte === OBJECT_OPEN || byte === ARRAY_OPEN) deepest = Math.max(deepest, level++);
    else if ((byte === OBJECT_CLOSE || byte === ARRAY_CLOSE) && --level === 0) throw fault(at);
    to = at + 1;
  }

  return {
    elements,
    get count() {
      return count;
    },
    step(bytes) {
      const stop = Math.min(body.length, at + bytes);
      for (; at < stop; at++) {
        const byte = body[at]!;
        if (inText) {
          if (byte === BACKSLASH) at++;
          else if (byte === QUOTE) {
            inText = false;
            to = at + 1;
          }
        } else if (!isBlank(byte)) structure(byte);
      }
      if (at < body.length) return false;
      if (level !== 0) throw fault(body.length);
      return true;
    },
  };
}
