/**
 * POST /cdrs: a switch posts its calls. An array of records by the API's field names, or one document as FreeSWITCH's
 * mod_json_cdr or mod_xml_cdr sends it.
 *
 * The answer is 200 for every kept record, stored or rejected: a switch that gets an error sends again, and a rejected
 * record is here already. The status of each record gives its outcome.
 */

import { type AtOnceOptions, createAtOnce } from '#platform/access/at_once.ts';
import { tenantOf } from '#platform/access/caller.ts';
import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import { READ_AFTER_HEADER, type RecentWrites } from '#platform/access/read_your_writes.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import { elapsed, failures } from '#platform/http/answers.ts';
import { validatorCompiler } from '#platform/http/validation.ts';
import { readWholeBody } from '#platform/http/whole_body.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { Counter, type Registry } from '#platform/telemetry/metrics.ts';
import { isPrintable } from '#platform/telemetry/printable.ts';
import { tidyCode } from '../../account_codes.ts';
import { MAX_BATCH, PostAnswer, PostBody, type PostOutcome, PostQuery } from '../../contract.ts';
import { badParameter } from '../../errors.ts';
import { createPostBatches } from '../../intake/post_batches.ts';
import type { RowOutcome } from '../../intake/rows.ts';
import { codesOfAccounts } from '../../store/accounts.ts';
import { WRITERS } from '../../visibility.ts';
import { adviceForPost } from './advice.ts';
import type { DocumentReader } from './document_reader.ts';
import { readPostedBody } from './posted_body.ts';

export interface IngestRoutesNeeds {
  readonly database: ServiceDatabase;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly recentWrites: RecentWrites;
  readonly documents: DocumentReader;
  /** Of a body. */
  readonly bodyLimitBytes: number;
  /** How to create accounts for a post that requests it. */
  readonly newAccounts: {
    readonly currency: string;
    readonly timeZone: string;
    readonly country: string | null;
  };
}

/** Bytes of a body that take long to read and to store: some 1,500 records. */
const LARGE_POST_BYTES = 256 * 1024;

/** A key's posts are stored one after the other, so more of them would only wait here with their bodies. */
export const LARGE_POSTS: AtOnceOptions = {
  what: 'posts of more than 256 KiB',
  perCaller: 4,
  inAll: 32,
  retryAfterS: 1,
};

const JSON_TYPE = 'application/json';
/** As mod_json_cdr and mod_xml_cdr send them; see formats/freeswitch_post.ts. */
const FREESWITCH_TYPES = [
  'application/x-www-form-urlencoded',
  'application/x-www-form-base64-encoded',
  'application/x-www-form-plaintext',
  'text/xml',
  'application/xml',
];

export function ingestRoutes(api: Api, needs: IngestRoutesNeeds): void {
  const batches = createPostBatches(needs.database, needs.clock);
  const records = new Counter({
    name: 'posted_records_total',
    help: 'Records of POST /cdrs by their outcome',
    labelNames: ['outcome'],
    registers: [needs.registry],
  });
  const largePosts = createAtOnce(LARGE_POSTS);
  api.register(async (plugin) => {
    const ingest = plugin as unknown as Api;
    ingest.removeAllContentTypeParsers();
    ingest.addContentTypeParser([JSON_TYPE, ...FREESWITCH_TYPES], readWholeBody);
    ingest.post(
      '/cdrs',
      {
        config: { scopes: WRITERS, basicAuth: true },
        bodyLimit: needs.bodyLimitBytes,
        // readPostedBody parses the body: it comes in several encodings, and each record is judged alone.
        validatorCompiler: (route) => (route.httpPart === 'body' ? () => true : validatorCompiler(route)),
        // FreeSWITCH adds `?uuid=…` to its configured address, even if that has a query already.
        preValidation: async (request) => {
          const query = request.query as Record<string, unknown>;
          for (const [name, value] of Object.entries(query)) {
            if (typeof value === 'string') query[name] = value.split('?uuid=', 1)[0];
          }
        },
        // Before the body is read: a refused post takes no memory.
        preParsing: async (request, reply, payload) => {
          if (Number(request.headers['content-length']) > LARGE_POST_BYTES)
            largePosts.enter(tenantOf(request.caller!), reply.raw);
          return payload;
        },
        schema: {
          tags: ['calls'],
          summary: 'A switch posts its calls',
          description: `An array of 1 to ${MAX_BATCH} records by the names of the API's fields, each with its \`account\` (the code) or \`i_account\`, instants with their zone; or one document of FreeSWITCH's mod_json_cdr or mod_xml_cdr, plain, URL-encoded or base64. A repeated record is recognised. Each record gets its own outcome: an invalid record is rejected and kept, the others are stored. The key may also be the password of Basic authentication.`,
          security: [{ bearer: [] }, { basic: [] }],
          consumes: [JSON_TYPE, ...FREESWITCH_TYPES],
          querystring: PostQuery,
          body: PostBody,
          response: { 200: PostAnswer, ...failures(400, 401, 403, 413, 415, 429, 503) },
        },
      },
      async (request, reply) => {
        const body = request.body as unknown as Buffer | undefined;
        const isLarge = body !== undefined && body.length > LARGE_POST_BYTES;
        if (isLarge && request.headers['content-length'] === undefined)
          largePosts.enter(tenantOf(request.caller!), reply.raw);
        const context = contextOf(request, reply, needs.clock, request.caller, isLarge ? 'heavy' : 'light');
        const codes = (iAccounts: readonly number[]) =>
          needs.database.readForWrite({ ...context, heavy: false }, (session) =>
            session.rows(codesOfAccounts(iAccounts)),
          );
        const { source } = request.query;
        if (source !== undefined && !isPrintable(source))
          throw badParameter('source', 'has invisible characters');
        if (source !== undefined && tidyCode(source) !== source)
          throw badParameter('source', 'must be a name in NFC, without blanks around it');
        const contentType = request.headers['content-type'] ?? '';
        const read = () => readPostedBody(body, contentType, needs.documents, codes);
        const posted = isLarge ? await needs.database.heavyWork.run(context, read) : await read();
        const { value: outcomes, position } = await batches.take(
          context,
          {
            file: 'POST /cdrs',
            format: posted.format,
            source: source || posted.source,
            readOptions: { timeZone: 'UTC', ...(request.query.credits && { credits: true }) },
            newAccounts: request.query.create_accounts ? needs.newAccounts : null,
            sameCall: {
              onConflict: request.query.on_conflict ?? 'set-aside',
              callIds: request.query.call_ids ?? 'unique',
            },
          },
          posted.rows,
        );
        if (position !== null) {
          reply.header(READ_AFTER_HEADER, needs.recentWrites.note(request.caller!, position));
        }
        for (const { kind } of outcomes) records.inc({ outcome: kind });
        const count = (kind: RowOutcome['kind']) =>
          outcomes.filter((outcome) => outcome.kind === kind).length;
        return {
          success: true as const,
          data: outcomes.map(answerOf),
          read: outcomes.length,
          stored: count('stored'),
          completed: count('completed'),
          duplicates: count('duplicate'),
          conflicts: count('conflict'),
          set_aside: count('set_aside'),
          duration_ms: elapsed(reply),
        };
      },
    );
  });
}

function answerOf(outcome: RowOutcome, index: number): PostOutcome {
  switch (outcome.kind) {
    case 'stored':
      return { index, status: 'stored', i_cdr: outcome.iCdr };
    case 'completed':
      return { index, status: 'completed', i_cdr: outcome.iCdr };
    case 'duplicate':
      return { index, status: 'duplicate' };
    case 'conflict': {
      const { code, reason, conflict } = outcome.rejection;
      const differences = [...conflict!.differences];
      const error = adviceForPost(reason);
      return { index, status: 'conflict', i_cdr: outcome.iCdr, code, error, differences };
    }
    case 'set_aside': {
      const { code, reason, field } = outcome.rejection;
      const error = adviceForPost(reason);
      return { index, status: 'set_aside', code, error, ...(field !== undefined && { field }) };
    }
  }
}
