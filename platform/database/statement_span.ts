/**
 * The span of statements, by OpenTelemetry's conventions for database clients. A statement is named by what it does and to which
 * tables (`db.query.summary`); its text and its values are left out.
 * https://opentelemetry.io/docs/specs/semconv/db/database-spans/
 */
import pg, { type ClientBase } from 'pg';
import { type Span, startSpan } from '#platform/telemetry/tracing/tracing.ts';
import { cancelTarget } from './pg_internals.ts';

/** As the convention has it. */
const SUMMARY_LIMIT = 255;

/** Tables are named with their schema everywhere; a name without one is a part of the statement itself. */
const TABLE = /\b(?:FROM|JOIN|INTO|UPDATE|COPY|TABLE)\s+(?:ONLY\s+)?"?([a-z_]\w*)"?\."?([a-z_]\w*)"?/gi;
const VERB = /[a-z]+/i;

/** What a statement does, and to which tables: `SELECT calls.cdrs`. */
export function summaryOf(sql: string): string {
  const verb = VERB.exec(sql)?.[0].toUpperCase() ?? 'EMPTY';
  const tables = new Set([...sql.matchAll(TABLE)].map(([, schema, table]) => `${schema}.${table}`));
  return [verb, ...tables].join(' ').slice(0, SUMMARY_LIMIT);
}

/**
 * Runs the statements of a pipeline, which leave together, as one span where a trace is recorded.
 * @param rowsOf how many rows the answer has, or how many were touched; left out where that is not known
 */
export function inStatementSpan<T>(
  client: ClientBase,
  statements: () => readonly string[],
  run: () => Promise<T>,
  rowsOf?: (answer: T) => number,
): Promise<T> {
  const span = startSpan(() => {
    const summaries = statements().map(summaryOf);
    const name = [...new Set(summaries)].join('; ').slice(0, SUMMARY_LIMIT);
    const { host, port } = cancelTarget(client);
    return {
      name,
      kind: 'client',
      attributes: {
        'db.system.name': 'postgresql',
        'db.query.summary': name,
        'server.address': host,
        'server.port': port,
        ...(summaries.length > 1 && { 'db.operation.batch.size': summaries.length }),
      },
    };
  });
  return span ? ending(span, run(), rowsOf) : run();
}

async function ending<T>(span: Span, running: Promise<T>, rowsOf?: (answer: T) => number): Promise<T> {
  try {
    const answer = await running;
    if (rowsOf) span.set({ 'db.response.returned_rows': rowsOf(answer) });
    span.end();
    return answer;
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? error.code : undefined;
    if (code !== undefined) span.set({ 'db.response.status_code': code });
    span.end(code ?? (error as Error).name);
    throw error;
  }
}
