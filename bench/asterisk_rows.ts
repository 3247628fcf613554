/** Asterisk cdr_csv rows for benchmarks: a month of a provider with 1,000 accounts, in the order in which calls end. */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

export const ACCOUNTS = 1_000;
const START = Date.UTC(2026, 9, 1);
const SPAN_MS = 31 * 86_400_000;
const CHUNK_ROWS = 5_000;

/** Writes `rows` rows to `file`; the same rows each time. */
export async function writeAsteriskRows(file: string, rows: number): Promise<void> {
  const out = createWriteStream(file, { highWaterMark: 1 << 20 });
  const random = generator(42);
  for (let from = 0; from < rows; from += CHUNK_ROWS) {
    let chunk = '';
    for (let row = from; row < Math.min(rows, from + CHUNK_ROWS); row++)
      chunk += asteriskRow(row, rows, random);
    if (!out.write(chunk)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
}

function asteriskRow(row: number, rows: number, random: () => number): string {
  const start = START + Math.floor((row / rows) * SPAN_MS);
  const account = Math.floor(random() * ACCOUNTS);
  const answered = random() < 0.7;
  const ring = 1 + Math.floor(random() * 20);
  const talk = answered ? 1 + Math.floor(-Math.log(1 - random()) * 150) : 0;
  const stamp = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
  const code = `cust${String(account).padStart(4, '0')}`;
  const own = `030231250${String(account % 100).padStart(2, '0')}`;
  const far = `${FAR[Math.floor(random() * FAR.length)]}${String(Math.floor(random() * 10_000)).padStart(4, '0')}`;
  const channel = `PJSIP/${code}-${row.toString(16).padStart(8, '0')}`;
  const out = `PJSIP/trunk-${(row + 1).toString(16).padStart(8, '0')}`;
  return (
    `"${code}","${own}","${far}","from-internal","""Desk ${account % 40}"" <${own}>","${channel}","${out}","Dial",` +
    `"PJSIP/${far}@trunk,60","${stamp(start)}",${answered ? `"${stamp(start + ring * 1000)}"` : ''},` +
    `"${stamp(start + (ring + talk) * 1000)}",${ring + talk},${talk},"${answered ? 'ANSWERED' : 'NO ANSWER'}",` +
    `"DOCUMENTATION","${Math.floor(start / 1000)}.${row}",""\n`
  );
}

/** Numbers kept for fiction: Ofcom, NANP 555-01xx made longer by the row's own digits, Arcep, BNetzA. */
const FAR = ['0044207946', '001202555', '0033199000', '004930231', '02079460', '0049306617'];

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}
