/**
 * A doubly linked list: joins, leaves and looks at either end in constant time. The waiting room needs to take a
 * request out of the middle (its client hung up) without searching for it.
 */

export interface Link<T> {
  readonly value: T;
  before: Link<T> | undefined;
  after: Link<T> | undefined;
}

export interface LinkedList<T> {
  first: Link<T> | undefined;
  last: Link<T> | undefined;
  size: number;
}

export function createLinkedList<T>(): LinkedList<T> {
  return { first: undefined, last: undefined, size: 0 };
}

/** Adds a value at the end; the link that is returned takes it out again. */
export function addLast<T>(list: LinkedList<T>, value: T): Link<T> {
  const link: Link<T> = { value, before: list.last, after: undefined };
  if (list.last) list.last.after = link;
  else list.first = link;
  list.last = link;
  list.size++;
  return link;
}

/** Adds a value at the beginning; the link that is returned takes it out again. */
export function addFirst<T>(list: LinkedList<T>, value: T): Link<T> {
  const link: Link<T> = { value, before: undefined, after: list.first };
  if (list.first) list.first.before = link;
  else list.last = link;
  list.first = link;
  list.size++;
  return link;
}

/** Takes a link out of the list that it is in; a link must be taken out only once. */
export function takeOut<T>(list: LinkedList<T>, link: Link<T>): void {
  if (link.before) link.before.after = link.after;
  else list.first = link.after;
  if (link.after) link.after.before = link.before;
  else list.last = link.before;
  link.before = undefined;
  link.after = undefined;
  list.size--;
}
