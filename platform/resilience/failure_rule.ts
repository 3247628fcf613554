/**
 * What counts as a failure of the database: the one rule, over error values, for every breaker; which failures are of the
 * connection alone, so that the same question may be asked again on another one; and which are the server's, not the statement's.
 *
 * - `failure`: the database could not be reached, was shutting down or starting, had no connection to give, or did not
 *   answer in time. Enough of these in a row open the breaker.
 * - `success`: it answered. A bad request that PostgreSQL itself turned down is an answer: it proves that PostgreSQL
 *   works.
 * - `neutral`: says nothing about the database (cancelled by us, a fault in our own code, an error of PostgreSQL's that
 *   neither proves that it works nor that it does not, such as a disk full for one large sort).
 *
 * SQLSTATEs: PostgreSQL documentation, appendix A. PgBouncer reports its own errors (no server to be had, waited too
 * long, too many clients) as 08P01. Messages: those of `pg` and `pg-pool`, which give these errors no code.
 */
import { TimeoutError } from '#platform/lifecycle/within.ts';

export type Outcome = 'success' | 'failure' | 'neutral';

const LOST_SQLSTATES = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now: starting, stopping or recovering
  '57P05', // idle_session_timeout: the connection is gone
]);

/** read_only_sql_transaction: what was the primary is one no more, so no write can succeed. */
const READ_ONLY = '25006';

const FAILURE_SQLSTATES = new Set([
  ...LOST_SQLSTATES,
  '57P04', // database_dropped
  '53300', // too_many_connections
  READ_ONLY,
]);

/** Connection exceptions. */
const FAILURE_CLASS = '08';

/** The statement was at fault, or lost to another transaction: feature, cardinality, data, constraint, rollback, syntax or right, raised by a function. */
const ANSWERED_CLASSES = new Set(['0A', '21', '22', '23', '40', '42', '44', 'P0']);

const QUERY_CANCELED = '57014';

/** Failures that say nothing of the next statement, where that is another one. */
const STATEMENTS_OWN_SQLSTATES = new Set([QUERY_CANCELED, READ_ONLY]);
const STATEMENTS_OWN_MESSAGE = /^Query read timeout$/;

const LOST_ERRNOS = new Set(['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE']);

const FAILURE_ERRNOS = new Set([
  ...LOST_ERRNOS,
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

const LOST_MESSAGES = [/^Connection terminated unexpectedly/, /^Client has encountered a connection error/];

const FAILURE_MESSAGES = [
  ...LOST_MESSAGES,
  /^Connection terminated/,
  /^timeout expired$/,
  /^timeout exceeded when trying to connect$/,
  /^Query read timeout$/,
  /^Client was closed and is not queryable/,
];

/** How many causes of causes are looked at; also ends a chain that closes on itself. */
const MAX_CAUSES = 5;

/** Judges what a piece of database work threw. Work that threw nothing is a success and need not be judged. */
export function judgeError(error: unknown): Outcome {
  return firstToTell(error)?.outcome ?? 'neutral';
}

/**
 * Whether work failed because its connection was lost or refused, or its server was shutting down: it may do better on
 * another connection. What took too long, or found the server full, would only be made worse by a second try.
 * (PgBouncer reports as 08P01 whatever it has to say, so a few of its refusals are among these.)
 */
export function isConnectionLost(error: unknown): boolean {
  const { error: cause, outcome } = firstToTell(error) ?? {};
  if (!cause || outcome !== 'failure') return false;
  const { code } = cause as { code?: unknown };
  if (typeof code === 'string' && (LOST_ERRNOS.has(code) || code === 'ENOENT')) return true;
  if (typeof code === 'string' && isSqlState(code))
    return LOST_SQLSTATES.has(code) || code.startsWith(FAILURE_CLASS);
  return LOST_MESSAGES.some((pattern) => pattern.test(cause.message));
}

const OWN_LACK = ['EMFILE', 'ENFILE'];

/** Whether this process, or this machine, could not open a connection or a file at all: it says nothing of the other side. */
export const isOutOfDescriptors = (error: unknown): boolean =>
  causesOf(error).some(({ code }) => OWN_LACK.includes(code ?? ''));

const DISK_FULL = '53100';

/** Whether the database could not write since a disk of its is full. It can read on, as long as it is up. */
export const isDiskFull = (error: unknown): boolean => causesOf(error).some(({ code }) => code === DISK_FULL);

/**
 * Whether a failure is the server's, so that it concerns all who use it: it could not be reached, was full, or a connection to
 * it was lost. Any other is of the statement alone: it took too long, or it wanted to write where it may not.
 */
export function isServersFailure(error: unknown): boolean {
  const { error: cause, outcome } = firstToTell(error) ?? {};
  if (!cause || outcome !== 'failure' || cause instanceof TimeoutError) return false;
  const { code } = cause as { code?: unknown };
  return !STATEMENTS_OWN_SQLSTATES.has(code as string) && !STATEMENTS_OWN_MESSAGE.test(cause.message);
}

/** An error and its causes, as far as they are looked at. */
function causesOf(error: unknown): readonly (Error & { readonly code?: string })[] {
  const causes: Error[] = [];
  for (let one = error; one instanceof Error && causes.length < MAX_CAUSES; one = one.cause) causes.push(one);
  return causes;
}

/** The error, or the nearest of its causes, that tells something of the database. */
function firstToTell(error: unknown): { readonly error: Error; readonly outcome: Outcome } | undefined {
  for (const cause of causesOf(error)) {
    const outcome = judgeOne(cause);
    if (outcome) return { error: cause, outcome };
  }
  return undefined;
}

/** Undefined where the error itself says nothing, so that its cause decides. */
function judgeOne(error: Error): Outcome | undefined {
  if (error instanceof TimeoutError) return 'failure';
  if (error.name === 'AbortError') return 'neutral';
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code === 'string') {
    if (FAILURE_ERRNOS.has(code)) return 'failure';
    // A Unix socket that is not there: its server is down.
    if (code === 'ENOENT' && syscall === 'connect') return 'failure';
    if (isSqlState(code)) return judgeSqlState(code, error.message);
  }
  return FAILURE_MESSAGES.some((pattern) => pattern.test(error.message)) ? 'failure' : undefined;
}

function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E');
}

function judgeSqlState(sqlState: string, message: string): Outcome {
  if (FAILURE_SQLSTATES.has(sqlState)) return 'failure';
  const sqlClass = sqlState.slice(0, 2);
  if (sqlClass === FAILURE_CLASS) return 'failure';
  if (ANSWERED_CLASSES.has(sqlClass)) return 'success';
  // One SQLSTATE for both: we (or an administrator) cancelled it, or it ran into statement_timeout.
  if (sqlState === QUERY_CANCELED && message.includes('statement timeout')) return 'failure';
  return 'neutral';
}
