/** Calls in pairs that differ in one digit that is masked, with their numbers in every field in many writings: for tests of masking. */
import fc from 'fast-check';
import { oddWriting } from './number_writings.ts';

const digits = (count: number) => fc.stringMatching(new RegExp(`^\\d{${count}}$`));
/** A number in E.164, and the same with another digit among those that are starred. */
const pair = fc
  .tuple(
    fc.constantFrom(['493023', 6], ['442079', 6], ['3314567', 4], ['120255', 5]) as fc.Arbitrary<
      [string, number]
    >,
    digits(6),
    fc.integer({ min: 3, max: 6 }),
    fc.integer({ min: 1, max: 9 }),
  )
  .map(([[begin, rest], random, fromEnd, add]) => {
    const one = begin + random.slice(0, rest);
    const at = one.length - fromEnd;
    const other = String((Number(one[at]) + add) % 10);
    return [one, one.slice(0, at) + other + one.slice(at + 1)] as const;
  });

const grouped = (number: string, by: string) =>
  number.replace(/(\d\d)(\d\d)(\d{3})/, `$1${by}$2${by}$3${by}`);
const inScript = (number: string, zero: number) =>
  number.replace(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit)));
/** How a number may be written where it is given for a number; the argument is its digits in E.164. */
const NUMBER_WRITINGS: readonly ((number: string) => string)[] = [
  (n) => `+${n}`,
  (n) => n,
  (n) => `00${n}`,
  (n) => `0${n.slice(2)}`,
  (n) => n.slice(2),
  (n) => `+${grouped(n, ' ')}`,
  (n) => grouped(`0${n.slice(2)}`, '-'),
  (n) => grouped(n, '.'),
  (n) => `(+${n.slice(0, 2)}) ${n.slice(2, 5)} / ${n.slice(5)}`,
  (n) => encodeURIComponent(`+${n}`),
  (n) => encodeURIComponent(`+${grouped(n, ' ')}`),
  (n) => `sip:+${n}@10.0.0.1:5060`,
  (n) => `sip:0${n.slice(2)}@10.0.0.1:5060`,
  (n) => `0${n.slice(2)} ext. 12`,
  (n) => `tel:+${n};phone-context=x`,
  (n) => `"Ann" <+${n}>`,
];
/** The same in the middle of a text. */
const TEXT_WRITINGS: readonly ((number: string) => string)[] = [
  ...NUMBER_WRITINGS,
  (n) => encodeURIComponent(encodeURIComponent(grouped(n, ' '))),
  (n) => `SIP/${n}-0000001`,
  (n) => `PJSIP/${n.slice(-4)}-00000a1b`,
  (n) => `sip:${n.slice(-4)}@pbx`,
  (n) => `ext:${n.slice(-4)}`,
  (n) => grouped(n, ' \u2013 '),
  (n) => grouped(n, '\u200b'),
  (n) => [...n].join('x'),
  (n) => inScript(n, 0x0660),
  (n) => inScript(n, 0xff10),
  (n) => inScript(n, 0x1d7ce),
  (n) => `1772440633.101 ${n}`,
  (n) => `2026-03-02 09:04:54 ${n} 10.0.0.1`,
  (n) => `${n} 2026-03-02`,
];

/** Longer ones are not taken for a number. */
const LONGEST_NUMBER = 128;
const oddShort = (...lasts: number[]) =>
  oddWriting(...lasts).map((write) => (digits: string) => {
    // Some digits take more bytes than others: which are too many must not depend on them.
    const longest = write('5'.repeat(digits.length)).length;
    return longest <= LONGEST_NUMBER ? write(digits) : digits;
  });

type Template = (cli: string, cld: string) => string;
const plain = fc.constantFrom('16', 'Phone/2.1', 'call to room 1001', 'v10.0.0.1', '100%', '%', '+', '=1');
const planted = (writings: fc.Arbitrary<(number: string) => string>): fc.Arbitrary<Template> =>
  fc.tuple(writings, fc.boolean(), plain, plain).map(([write, ofCli, before, behind]): Template => {
    return (cli, cld) => `${before} ${write(ofCli ? cli : cld)} ${behind}`;
  });
const oddInText = oddShort(0, 6, 5, 4, 3);
const textWriting = fc.oneof(fc.constantFrom(...TEXT_WRITINGS), oddInText);
const inText = fc.option(planted(textWriting), { freq: 3 });
/** Of few digits: those of one in some tens of thousands are a number's by chance, which hides it. */
const UUID = 'a3f8cbde-fade-4abc-8def-cafedeadbeef';
const callId: fc.Arbitrary<Template | null> = fc.oneof(
  fc.constant(null),
  fc.constant<Template>(() => UUID),
  fc.constant<Template>(() => '1772440633.101'),
  planted(textWriting),
  planted(oddInText),
);

const numberWriting = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...NUMBER_WRITINGS) },
  {
    weight: 1,
    arbitrary: oddShort(0),
  },
);

const shape = fc.record({
  cli: pair,
  cld: pair,
  cliWriting: numberWriting,
  cldWriting: numberWriting,
  call_id: callId,
  linked_id: callId,
  source: fc.option(planted(fc.constantFrom(...TEXT_WRITINGS)), { freq: 3 }),
  description: inText,
  user_agent: inText,
  disconnect_cause: inText,
  attributes: fc.array(fc.tuple(planted(textWriting), planted(textWriting)), { maxLength: 3 }),
});

/** Longer ones can't be posted. */
const LONGEST_LINKED_ID = 255;

/** Two calls as they are posted, each with its source. */
export const callsThatDifferInAMaskedDigit = shape.map((drawn) =>
  [0, 1].map((side) => {
    const [cli, cld] = [drawn.cli[side]!, drawn.cld[0]];
    const write = (template: Template | null) => template?.(cli, cld).trim() ?? null;
    const record = {
      call_id: write(drawn.call_id),
      linked_id: (write(drawn.linked_id) ?? '').slice(0, LONGEST_LINKED_ID).trim() || null,
      cli: drawn.cliWriting(cli),
      cld: drawn.cldWriting(cld),
      description: write(drawn.description),
      user_agent: write(drawn.user_agent),
      disconnect_cause: write(drawn.disconnect_cause),
      remote_ip: '192.168.100.200',
      attributes: Object.fromEntries(drawn.attributes.map((pair) => pair.map((t) => t(cli, cld)))),
      start_time: '2026-03-02T09:04:54Z',
      duration_s: 65,
      billed_duration_s: 60,
      connect_time: '2026-03-02T09:04:59Z',
      result: 'answered',
    };
    return { record, source: write(drawn.source) ?? 'switch' };
  }),
);
