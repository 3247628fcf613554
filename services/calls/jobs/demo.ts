/**
 * A month of invented calls for a first look: the same for the same day, priced, of three accounts, one of them under
 * another. Numbers come from ranges that regulators reserve for fiction, so no real phone has one of them.
 */
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import { seededRandom } from '#platform/lifecycle/seeded_random.ts';
import { parseMapping } from '../formats/mapping.ts';
import { importOpened } from '../intake/import_file.ts';
import { addDemoAccounts, isEmpty } from '../store/demo.ts';

const DAYS = 30;
const CALLS_A_DAY = 120;
const DAY_MS = 86_400_000;

const ACCOUNTS = ['acme', 'acme-berlin', 'globex'];
/** Each # a digit. Ofcom's drama numbers, NANP's 555-01xx, Arcep's and BNetzA's for fiction. */
const FAR_NUMBERS = ['+442079460###', '+120255501##', '+3319900####', '+49302312504#'];
const PRICE_PER_MINUTE = ['0.021', '0.012', '0.019', '0.009'];

const COLUMNS = parseMapping(
  [
    ...['id=call_id', 'customer=account', 'from=cli', 'to=cld', 'start=start_time', 'answer=connect_time'],
    ...['end=disconnect_time', 'seconds=duration_s', 'billed=billed_duration_s', 'result=result'],
    ...['cause=disconnect_cause', 'price=cost', 'currency=currency', 'direction=direction'],
  ],
  'demo',
);
const HEADER = 'id,customer,from,to,start,answer,end,seconds,billed,result,cause,price,currency,direction\n';

/**
 * Imports the sample if nothing has been imported yet.
 * @returns how many calls were stored; 0 when the database was not empty
 */
export async function importDemo(pool: Pool, now: number): Promise<number> {
  const empty = await withTransaction(pool, async (session) => {
    if (!(await session.row(isEmpty()))?.empty) return false;
    await session.run(addDemoAccounts());
    return true;
  });
  if (!empty) return 0;
  const head = Buffer.from(HEADER + [...demoRows(now)].join(''));
  async function* chunks() {
    yield head;
  }
  const counts = await importOpened(
    pool,
    'demo',
    { head, chunks: chunks(), isStream: true, bytesRead: () => head.length },
    { format: 'mapped', source: 'demo', read: { timeZone: 'UTC', mapping: COLUMNS }, newAccounts: null },
    { onFormat: () => undefined, onProgress: () => undefined },
  );
  return counts.stored;
}

function* demoRows(now: number): Generator<string> {
  const random = seededRandom(Math.floor(now / DAY_MS));
  const pick = (count: number) => Math.floor(random() * count);
  const lastStart = now - 3_600_000;
  const starts = Array.from({ length: DAYS * CALLS_A_DAY }, () => lastStart - random() * DAYS * DAY_MS).sort(
    (a, b) => a - b,
  );
  for (const [index, startMs] of starts.entries()) {
    const start = Math.floor(startMs / 1000) * 1000;
    const account = ACCOUNTS[pick(ACCOUNTS.length)]!;
    const inbound = random() < 0.35;
    const place = pick(FAR_NUMBERS.length);
    const far = FAR_NUMBERS[place]!.replaceAll('#', () => String(pick(10)));
    const own = `+4930231256${String(pick(40)).padStart(2, '0')}`;
    const [result, cause] = random() < 0.74 ? ['answered', '16'] : OTHER_ENDS[pick(OTHER_ENDS.length)]!;
    const ring = 2 + pick(18);
    const talk = result === 'answered' ? 5 + Math.floor(-Math.log(1 - random()) * 140) : 0;
    const price = inbound || talk === 0 ? '0' : ((Number(PRICE_PER_MINUTE[place]) * talk) / 60).toFixed(4);
    const iso = (ms: number) => new Date(ms).toISOString();
    yield [
      ...[`demo-${start / 1000}-${index}`, account, inbound ? far : own, inbound ? own : far, iso(start)],
      ...[
        result === 'answered' ? iso(start + ring * 1000) : '',
        iso(start + (ring + talk) * 1000),
        ring + talk,
        talk,
      ],
      ...[result, cause, price, 'EUR', inbound ? 'inbound' : 'outbound'],
    ]
      .join(',')
      .concat('\n');
  }
}

const OTHER_ENDS = [
  ['no_answer', '19'],
  ['no_answer', '19'],
  ['busy', '17'],
  ['cancelled', '16'],
  ['failed', '34'],
] as const;
