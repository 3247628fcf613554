/**
 * Callers of the tier and of the service on it, while a part is lost: some with a new connection for each request, some
 * with a kept connection. The measure is the longest time in which no caller of a group was answered.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import type { Tier } from '../tier.ts';
import { type AcknowledgedWrite, createConnection, REQUEST_LIMIT_MS, readWithOneRetry } from './load.ts';

/** Called places: the doors of the database, and the service's `GET /cdrs` and `POST /cdrs`. */
export const ASKED = ['writes', 'reads', 'POST', 'GET'] as const;
export type Asked = (typeof ASKED)[number];

/** Callers of each kind of connection at each place. */
const CALLERS = 3;
/** Pause between two requests of a caller: short enough to measure, long enough to leave two CPUs free for other work. */
const PAUSE_MS = 100;
const ANSWER_LIMIT_BYTES = 1024 * 1024;

export interface ServiceAddress {
  readonly url: string;
  readonly key: string;
  /** i_account of DRILL_ACCOUNT. */
  readonly account: number;
}

/** A request that failed. */
export interface CallFailure {
  readonly asked: Asked;
  /** Monotonic. */
  readonly startedAt: number;
  readonly message: string;
}

export interface CallersReport {
  /** A part of the ids of the posted calls. */
  readonly run: string;
  readonly answered: number;
  readonly failures: readonly CallFailure[];
  /** The longest time without an answer at each called place: of the callers with new connections, or with kept ones. */
  readonly silentMs: Readonly<Record<Asked, number>>;
  /** Rows that the database acknowledged. */
  readonly rows: readonly AcknowledgedWrite[];
  /** Call ids that the service acknowledged as stored, and when. */
  readonly calls: readonly { readonly callId: string; readonly acknowledgedAt: number }[];
}

export interface Callers {
  /** Silences count from this call on. */
  begin(): void;
  /** Resolves once every group was answered at least once after this call; false when a group was not. */
  everyoneAnswered(asked: readonly Asked[], limitMs: number, signal?: AbortSignal): Promise<boolean>;
  /** Faults so far, and the places without any answer. */
  faults(): string[];
  failures(): readonly CallFailure[];
  /** Lets running requests end, and reports the results. */
  stop(): Promise<CallersReport>;
}

interface Group {
  readonly asked: Asked;
  /** Makes the caller's kind of request; `number` counts its requests. */
  readonly caller: (index: number) => { ask(number: number): Promise<void>; close(): void };
  answers: number;
  lastAnswerAt: number;
  longestMs: number;
}

/**
 * Starts the callers; they go on until `stop`. The table of the load must exist (prepareLoad).
 * @param places the places to call
 */
export function startCallers(
  tier: Tier,
  service: ServiceAddress,
  clock: Clock,
  places: readonly Asked[] = ASKED,
): Callers {
  const run = clock.now().toString(36);
  const rows: AcknowledgedWrite[] = [];
  const calls: { callId: string; acknowledgedAt: number }[] = [];
  const failures: CallFailure[] = [];
  let [answered, stopping] = [0, false];

  const everywhere = [true, false].flatMap((kept): Group[] => {
    const first = kept ? 0 : CALLERS;
    const door = (
      url: string,
      work: (ask: ReturnType<typeof createConnection>, n: number) => Promise<void>,
    ) => {
      const connection = createConnection(url, clock);
      return {
        close: connection.close,
        ask: async (number: number) => {
          await work(connection, number);
          if (!kept) connection.close();
        },
      };
    };
    const http = (work: (agent: Agent | false, n: number) => Promise<void>) => {
      const agent = kept ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
      return { close: () => agent?.destroy(), ask: (number: number) => work(agent ?? false, number) };
    };
    const counters = () => ({ answers: 0, lastAnswerAt: clock.monotonic(), longestMs: 0 });
    return [
      {
        asked: 'writes',
        caller: (index) =>
          door(tier.writeUrl, async (connection, number) => {
            const writer = first + index;
            await connection.ask('INSERT INTO drill.written (writer, number) VALUES ($1, $2)', [
              writer,
              number,
            ]);
            rows.push({ writer, number, acknowledgedAt: clock.monotonic() });
          }),
        ...counters(),
      },
      {
        asked: 'reads',
        caller: () => door(tier.readUrl, (connection) => readWithOneRetry(connection, clock, () => {})),
        ...counters(),
      },
      {
        asked: 'POST',
        caller: (index) =>
          http(async (agent, number) => {
            const callId = `drill-${run}-${first + index}-${number}`;
            const answer = await call(service, agent, 'POST', callOf(callId, clock));
            const [outcome] = (JSON.parse(answer) as { data: { status: string }[] }).data;
            if (outcome?.status !== 'stored' && outcome?.status !== 'duplicate')
              throw new Error(`the call was not stored: ${answer}`);
            calls.push({ callId, acknowledgedAt: clock.monotonic() });
          }),
        ...counters(),
      },
      {
        asked: 'GET',
        caller: () => http(async (agent) => void (await call(service, agent, 'GET'))),
        ...counters(),
      },
    ];
  });
  const groups = everywhere.filter(({ asked }) => places.includes(asked));

  function noteAnswer(group: Group): void {
    const now = clock.monotonic();
    answered += 1;
    group.answers += 1;
    group.longestMs = Math.max(group.longestMs, now - group.lastAnswerAt);
    group.lastAnswerAt = now;
  }

  async function keepAsking(group: Group, index: number): Promise<void> {
    const caller = group.caller(index);
    for (let number = 0; !stopping; number++) {
      const startedAt = clock.monotonic();
      try {
        await caller.ask(number);
        if (!stopping) noteAnswer(group);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        failures.push({ asked: group.asked, startedAt, message });
      }
      await clock.sleep(PAUSE_MS);
    }
    caller.close();
  }

  const running = groups.flatMap((group) =>
    Array.from({ length: CALLERS }, (_, index) => keepAsking(group, index)),
  );
  return {
    begin: () => {
      for (const group of groups) Object.assign(group, { lastAnswerAt: clock.monotonic(), longestMs: 0 });
    },
    everyoneAnswered: async (asked, limitMs, signal) => {
      const of = groups.filter((group) => asked.includes(group.asked));
      const before = new Map(of.map((group) => [group, group.answers]));
      const deadline = clock.monotonic() + limitMs;
      while (!of.every((group) => group.answers > before.get(group)!)) {
        if (clock.monotonic() > deadline) return false;
        await clock.sleep(10, signal);
      }
      return true;
    },
    faults: () => [
      ...groups.filter(({ answers }) => answers === 0).map(({ asked }) => `${asked}: no caller was answered`),
      ...new Set(failures.map(({ asked, message }) => `${asked}: ${message}`)),
    ],
    failures: () => failures,
    stop: async () => {
      stopping = true;
      const now = clock.monotonic();
      // A group without an answer still counts up to now.
      const silentMs = Object.fromEntries(
        places.map((asked) => {
          const of = groups.filter((group) => group.asked === asked);
          return [asked, Math.round(Math.max(...of.map((g) => Math.max(g.longestMs, now - g.lastAnswerAt))))];
        }),
      ) as Record<Asked, number>;
      await Promise.all(running);
      return { run, answered, failures, silentMs, rows, calls };
    },
  };
}

/** A call that has just ended, of the drills' own account. */
function callOf(callId: string, clock: Clock): string {
  const at = (ago: number) => new Date(clock.now() - ago).toISOString();
  return JSON.stringify([
    {
      account: DRILL_ACCOUNT,
      call_id: callId,
      cli: '+493023125001',
      cld: '+442079460001',
      start_time: at(65_000),
      connect_time: at(60_000),
      disconnect_time: at(0),
      billed_duration_s: 60,
      cost: '0.0125',
    },
  ]);
}

/** The account of the calls that drills post. */
export const DRILL_ACCOUNT = 'trunkline-drill';

/** @returns the body of a 200 @throws Error for any other answer, and TimeoutError for none within REQUEST_LIMIT_MS */
function call(
  { url, key, account }: ServiceAddress,
  agent: Agent | false,
  method: 'GET' | 'POST',
  body?: string,
): Promise<string> {
  const path = method === 'GET' ? `/cdrs?i_account=${account}&limit=20` : '/cdrs?source=drill';
  const headers = { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) };
  const answered = async (signal: AbortSignal): Promise<string> => {
    const asking = request(`${url}${path}`, { method, agent, headers, signal });
    asking.on('error', () => undefined); // the reader of the answer gets the error as well
    asking.end(body);
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    const text = await textOf(answer);
    if (answer.statusCode === 200) return text;
    const { code } = JSON.parse(text || '{}') as { code?: string };
    throw new Error(`${answer.statusCode} ${code ?? ''}`.trim());
  };
  return within(systemClock, REQUEST_LIMIT_MS, `${method} /cdrs`, answered);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) {
    text += chunk;
    if (text.length > ANSWER_LIMIT_BYTES) throw new Error('an answer without an end');
  }
  return text;
}
