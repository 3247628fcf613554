/**
 * POST /cdrs: a switch tells its calls. An array of records by the API's field names, or one document as FreeSWITCH's
 * mod_json_cdr sends it.
 *
 * The answer is 200 for whatever was kept, stored or set aside: a switch that is told of a failure sends again, and what
 * was set aside is here already. The status of each record says what became of it.
 */
import type { Database } from '#platform/database/database.ts';
import { validatorCompiler } from '#platform/http/validation.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { failures, MAX_BATCH, PostAnswer, PostBody, type PostOutcome, PostQuery } from '../contract.ts';
import { callsError } from '../errors.ts';
import { FORMATS } from '../formats/formats.ts';
import { parseJsonCdr } from '../formats/freeswitch_json.ts';
import { bytesToText, decodePostedCdr, faultPlace } from '../formats/freeswitch_post.ts';
import type { Taken } from '../formats/reader.ts';
import type { RowOutcome } from '../intake/intake.ts';
import { createPostBatches } from '../intake/post_batches.ts';
import { codesOfAccounts } from '../store/accounts.ts';
import type { Api } from './api.ts';
import { WRITERS } from './caller.ts';
import { namedAccounts, POSTED_FIELDS, POSTED_SOURCE, recordFromFields } from './posted_record.ts';
import { READ_AFTER_HEADER, type RecentWrites } from './read_after.ts';
import { elapsed, ticketOf } from './ticket.ts';

export interface IngestRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly recentWrites: RecentWrites;
  /** How accounts are made for a post that asks for it. */
  readonly newAccounts: {
    readonly currency: string;
    readonly timeZone: string;
    readonly country: string | null;
  };
}

const JSON_TYPE = 'application/json';
/** As mod_json_cdr sends them; see formats/freeswitch_post.ts. */
const FORM_TYPES = ['application/x-www-form-urlencoded', 'application/x-www-form-base64-encoded'];

/** What a body holds. */
interface Posted {
  readonly format: string;
  readonly source: string;
  readonly rows: Taken[];
}

export function ingestRoutes(api: Api, needs: IngestRoutesNeeds): void {
  const batches = createPostBatches(needs.database, needs.clock);
  api.register(async (plugin) => {
    const ingest = plugin as unknown as Api;
    ingest.removeAllContentTypeParsers();
    ingest.addContentTypeParser(
      [JSON_TYPE, ...FORM_TYPES],
      { parseAs: 'buffer' },
      async (_request: unknown, body: Buffer) => body,
    );
    ingest.post(
      '/cdrs',
      {
        config: { scopes: WRITERS, basicAuth: true },
        // The body is read by readBody below: it comes in several encodings, and each record is judged by itself.
        validatorCompiler: (route) => (route.httpPart === 'body' ? () => true : validatorCompiler(route)),
        // FreeSWITCH puts `?uuid=…` behind the address that it is given, even where that has a query already.
        preValidation: async (request) => {
          const query = request.query as Record<string, unknown>;
          for (const [name, value] of Object.entries(query)) {
            if (typeof value === 'string') query[name] = value.replace(/\?uuid=.*$/, '');
          }
        },
        schema: {
          tags: ['calls'],
          summary: 'A switch tells its calls',
          description: `An array of 1 to ${MAX_BATCH} records by the names of the API's fields, each with its \`account\` (the code) or \`i_account\`, instants with their zone; or one document of FreeSWITCH's mod_json_cdr, JSON, URL-encoded or base64. What is sent again is recognised. Each record gets its own answer: one that cannot be taken in is set aside and kept, the others go in. The key may also be the password of Basic authentication.`,
          security: [{ bearer: [] }, { basic: [] }],
          consumes: [JSON_TYPE, ...FORM_TYPES],
          querystring: PostQuery,
          body: PostBody,
          response: { 200: PostAnswer, ...failures(400, 401, 403, 413, 415, 429, 503) },
        },
      },
      async (request, reply) => {
        const ticket = ticketOf(request, reply, needs.clock, request.caller);
        const codes = (iAccounts: readonly number[]) =>
          needs.database.readForWrite(ticket, (session) => session.rows(codesOfAccounts(iAccounts)));
        const contentType = request.headers['content-type'] ?? '';
        const posted = await readBody(request.body as unknown as Buffer | undefined, contentType, codes);
        const { value: outcomes, position } = await batches.take(
          ticket,
          {
            file: 'POST /cdrs',
            format: posted.format,
            source: request.query.source || posted.source,
            readOptions: { timeZone: 'UTC' },
            newAccounts: request.query.create_accounts ? needs.newAccounts : null,
          },
          posted.rows,
        );
        if (position !== null) {
          reply.header(READ_AFTER_HEADER, needs.recentWrites.note(request.caller!, position));
        }
        const count = (kind: RowOutcome['kind']) =>
          outcomes.filter((outcome) => outcome.kind === kind).length;
        return {
          success: true as const,
          data: outcomes.map(answerOf),
          stored: count('stored'),
          duplicates: count('duplicate'),
          set_aside: count('set_aside'),
          duration_ms: elapsed(reply),
        };
      },
    );
  });
}

type CodesOfAccounts = (iAccounts: readonly number[]) => Promise<{ i_account: number; code: string }[]>;

/** @throws ApiError 400 for a body that can't be read as a whole */
async function readBody(
  body: Buffer | undefined,
  contentType: string,
  codes: CodesOfAccounts,
): Promise<Posted> {
  if (!body || body.length === 0) {
    throw callsError('bad_batch', { message: 'The body is empty; it should be an array of records' });
  }
  const value = readValue(body, contentType);
  if (!Array.isArray(value)) return freeswitchDocument(value);
  if (value.length === 0 || value.length > MAX_BATCH) {
    throw callsError('bad_batch', {
      message: `The array has ${value.length} records; a post takes from 1 to ${MAX_BATCH}`,
    });
  }
  return postedRecords(value, codes);
}

function readValue(body: Buffer, contentType: string): unknown {
  const text = bytesToText(body);
  try {
    return contentType.startsWith(JSON_TYPE) ? JSON.parse(text) : decodePostedCdr(text, contentType);
  } catch (error) {
    // JSON.parse quotes the body in what it says, and telephone numbers with it.
    const reason =
      error instanceof SyntaxError ? `it is no JSON${faultPlace(error)}` : (error as Error).message;
    throw callsError('bad_batch', { message: `The body can't be read: ${reason}` });
  }
}

function freeswitchDocument(document: unknown): Posted {
  if (isDeeper(document, MAX_DEPTH)) {
    throw callsError('bad_batch', {
      message: `The document is nested too deep: at most ${MAX_DEPTH} levels are read`,
    });
  }
  const parsed = parseJsonCdr(document, { timeZone: 'UTC' });
  if (parsed.kind === 'skipped' || !isDocument(document)) {
    throw callsError('bad_batch', {
      message:
        'The body is neither an array of records nor a document of mod_json_cdr (which has "variables")',
    });
  }
  const row = { line: 1, bytes: Buffer.from(JSON.stringify(document)) };
  return { format: 'freeswitch-json', source: FORMATS['freeswitch-json'].source, rows: [{ row, parsed }] };
}

const isDocument = (value: unknown): boolean =>
  typeof (value as { variables?: unknown } | null)?.variables === 'object';

/** Levels of objects and arrays in a record or document: far more than either has, far fewer than writing JSON can take. */
const MAX_DEPTH = 64;

/** Whether a value has more levels. Goes down no further than that. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** A copy that is cut off below these levels. What remains is refused all the same: no field of a record goes so deep. */
function cutOff(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (levels === 0) return '…';
  if (Array.isArray(value)) return value.map((inner) => cutOff(inner, levels - 1));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, cutOff(inner, levels - 1)]));
}

async function postedRecords(posted: readonly unknown[], codesOf: CodesOfAccounts): Promise<Posted> {
  const values = posted.map((value) => (isDeeper(value, MAX_DEPTH) ? cutOff(value, MAX_DEPTH) : value));
  const named = namedAccounts(values);
  const found = named.length === 0 ? [] : await codesOf(named);
  const codes = new Map(found.map(({ i_account, code }) => [i_account, code]));
  const rows = values.map((value, index): Taken => {
    const kept = withCode(value, codes);
    return {
      row: { line: index + 1, bytes: Buffer.from(JSON.stringify(kept)) },
      parsed: recordFromFields(value, codes),
    };
  });
  return { format: POSTED_FIELDS, source: POSTED_SOURCE, rows };
}

/** A record that is kept aside is read again alone, where nobody looks accounts up: it keeps the code, not the number. */
function withCode(value: unknown, codes: ReadonlyMap<number, string>): unknown {
  const { i_account: iAccount, ...rest } = (value ?? {}) as Record<string, unknown>;
  const code = codes.get(iAccount as number);
  return code === undefined || (rest.account !== undefined && rest.account !== code)
    ? value
    : { ...rest, account: code };
}

function answerOf(outcome: RowOutcome, index: number): PostOutcome {
  switch (outcome.kind) {
    case 'stored':
      return { index, status: 'stored', i_cdr: outcome.iCdr };
    case 'duplicate':
      return { index, status: 'duplicate' };
    case 'set_aside': {
      const { code, reason, field } = outcome.rejection;
      return { index, status: 'set_aside', code, error: reason, ...(field !== undefined && { field }) };
    }
  }
}
