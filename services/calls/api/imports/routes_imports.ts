/** Imports, for operators: GET /imports, GET /imports/{i_import}, and POST /imports/{i_import}/undo, which undoes one. */

import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import type { ServiceDatabase } from '#platform/database/service_database.ts';
import { elapsed, failures } from '#platform/http/answers.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { callsError } from '../../errors.ts';
import { CannotUndoError, dryUndo, type UndoProgress, undoStep } from '../../intake/undo_import.ts';
import { importByNumber, listImports } from '../../store/imports.ts';
import {
  ImportAnswer,
  ImportParams,
  ImportsAnswer,
  ImportsQuery,
  UndoAnswer,
  UndoBody,
} from './imports_contract.ts';

export interface ImportRoutesNeeds {
  readonly database: ServiceDatabase;
  readonly clock: Clock;
}

export function importRoutes(api: Api, { database, clock }: ImportRoutesNeeds): void {
  api.get(
    '/imports',
    {
      config: { scopes: ['operator'] },
      schema: {
        tags: ['operation'],
        summary: 'Imports of files and switches that post, newest first',
        description:
          'With the outcomes of their rows. `GET /cdrs?i_import=…` returns the calls of one import.',
        security: [{ bearer: [] }],
        querystring: ImportsQuery,
        response: { 200: ImportsAnswer, ...failures(400, 401, 403, 429, 503) },
      },
    },
    async (request, reply) => {
      const { before, limit, ...filter } = request.query;
      // One more than the page holds shows whether there is another page.
      const found = await database.read(contextOf(request, reply, clock, request.caller), (session) =>
        session.rows(listImports(filter, before, limit! + 1)),
      );
      const data = found.slice(0, limit);
      const next_before = found.length > data.length ? data.at(-1)!.i_import : null;
      return { success: true as const, data, next_before, duration_ms: elapsed(reply) };
    },
  );

  api.get(
    '/imports/:i_import',
    {
      config: { scopes: ['operator'] },
      schema: {
        tags: ['operation'],
        summary: 'One import',
        security: [{ bearer: [] }],
        params: ImportParams,
        querystring: NO_QUERY,
        response: { 200: ImportAnswer, ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { i_import: iImport } = request.params;
      const data = await database.read(contextOf(request, reply, clock, request.caller), (session) =>
        session.row(importByNumber(iImport)),
      );
      if (!data) throw noImport(iImport);
      return { success: true as const, data, duration_ms: elapsed(reply) };
    },
  );

  api.post(
    '/imports/:i_import/undo',
    {
      config: { scopes: ['operator'] },
      schema: {
        tags: ['operation'],
        summary: 'Undo an import, or report the effects of an undo',
        description:
          'Everything is as if the import had never been: its calls, their usage, calls that it completed or replaced, its rejected rows, and the time up to which its source has sent its calls. A request works for some seconds; repeat it until `done`. The audit trail names the caller.',
        security: [{ bearer: [] }],
        params: ImportParams,
        querystring: NO_QUERY,
        body: UndoBody,
        response: { 200: UndoAnswer, ...failures(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      const { i_import: iImport } = request.params;
      const caller = request.caller!;
      const context = contextOf(request, reply, clock, caller, 'heavy');
      const data = await asApiError(async () => {
        if (request.body.dry_run)
          return database.readForWrite(context, (session) => dryUndo(session, iImport));
        const began = clock.monotonic();
        for (;;) {
          const { value } = await database.withWritePool(context, (pool, signal) =>
            undoStep(pool, iImport, caller, signal),
          );
          if (!value || value.done || clock.monotonic() - began > UNDO_MS) return value;
        }
      });
      if (!data) throw noImport(iImport);
      return { success: true as const, data, duration_ms: elapsed(reply) };
    },
  );
}

/** How long a request goes on with an undo: a step is some tenths of a second, and a request's deadline is seconds away. */
const UNDO_MS = 2_000;

async function asApiError(work: () => Promise<UndoProgress | undefined>): Promise<UndoProgress | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CannotUndoError)) throw error;
    throw callsError('not_undoable', { message: error.message });
  }
}

const NO_QUERY = { type: 'object', additionalProperties: false, properties: {} } as const;

function noImport(iImport: number) {
  return callsError('not_found', { message: `There is no import ${iImport}` });
}
