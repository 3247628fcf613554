/**
 * A binary heap of deadlines: the earliest is at hand at once; adding and taking out cost O(log n). Each item knows its
 * place, so that one which leaves early (served, or its client hung up) is taken out at once and nothing dead is kept.
 */

export interface HasDeadline {
  /** Monotonic milliseconds. Never changes while the item is in the heap. */
  readonly deadline: number;
  /** The item's place in the heap, kept by the heap; undefined while it is in none. */
  place: number | undefined;
}

export type DeadlineHeap<T extends HasDeadline> = T[];

/** The item with the earliest deadline. */
export function earliest<T extends HasDeadline>(heap: DeadlineHeap<T>): T | undefined {
  return heap[0];
}

export function addDeadline<T extends HasDeadline>(heap: DeadlineHeap<T>, item: T): void {
  heap.push(item);
  siftUp(heap, item, heap.length - 1);
}

/** Takes an item out; one that is in no heap is left as it is. */
export function removeDeadline<T extends HasDeadline>(heap: DeadlineHeap<T>, item: T): void {
  const gap = item.place;
  if (gap === undefined) return;
  item.place = undefined;
  const filler = heap.pop();
  if (!filler || filler === item) return;
  siftDown(heap, filler, gap);
  if (filler.place === gap) siftUp(heap, filler, gap);
}

function siftUp<T extends HasDeadline>(heap: DeadlineHeap<T>, item: T, from: number): void {
  let place = from;
  while (place > 0) {
    const parentPlace = (place - 1) >> 1;
    const parent = heap[parentPlace]!;
    if (parent.deadline <= item.deadline) break;
    put(heap, parent, place);
    place = parentPlace;
  }
  put(heap, item, place);
}

function siftDown<T extends HasDeadline>(heap: DeadlineHeap<T>, item: T, from: number): void {
  let place = from;
  for (;;) {
    const left = 2 * place + 1;
    const right = left + 1;
    if (left >= heap.length) break;
    const childPlace = right < heap.length && heap[right]!.deadline < heap[left]!.deadline ? right : left;
    const child = heap[childPlace]!;
    if (item.deadline <= child.deadline) break;
    put(heap, child, place);
    place = childPlace;
  }
  put(heap, item, place);
}

function put<T extends HasDeadline>(heap: DeadlineHeap<T>, item: T, place: number): void {
  heap[place] = item;
  item.place = place;
}
