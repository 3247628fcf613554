/** How PostgreSQL goes about a statement, as tests ask for it. */
import assert from 'node:assert/strict';
import type { ClientBase } from 'pg';
import type { RowQuery } from '#platform/database/fast_read/fast_read.ts';
import { type Pool, withSession } from '#platform/database/pool.ts';

/** Calls of a page, and the one that tells of the next. */
export const PAGE = 101;

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Node[];
}

export interface Plan {
  readonly nodes: readonly Node[];
  /** Pages of tables and indexes that were looked at. */
  readonly blocks: number;
  /** Months that were read, not just planned. */
  readonly months: ReadonlySet<string>;
  readonly planned: ReadonlySet<string>;
}

const EXPLAIN = 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON, TIMING OFF)';

/** How PostgreSQL goes about a statement, which is run. */
export async function planOn(client: Pick<ClientBase, 'query'>, statement: RowQuery): Promise<Plan> {
  const { rows } = await client.query({
    text: `${EXPLAIN} ${statement.sql}`,
    values: [...statement.parameters],
  });
  return readPlan(rows[0]['QUERY PLAN'][0].Plan);
}

/** The plan that a connection keeps for a statement with a name, made before anything is known of its parameters. */
export async function keptPlanOn(pool: Pool, { sql, parameters }: RowQuery): Promise<Plan> {
  return withSession(pool, async ({ client }) => {
    const values = parameters.map((value) => client.escapeLiteral(String(value)));
    await client.query("SET plan_cache_mode = 'force_generic_plan'");
    await client.query(`PREPARE kept AS ${sql}`);
    const { rows } = await client.query(`${EXPLAIN} EXECUTE kept(${values.join(', ')})`);
    await client.query('DEALLOCATE kept; RESET plan_cache_mode');
    return readPlan(rows[0]['QUERY PLAN'][0].Plan);
  });
}

function readPlan(root: Node): Plan {
  const nodes: Node[] = [];
  const walk = (node: Node) => {
    nodes.push(node);
    for (const child of node.Plans ?? []) walk(child);
  };
  walk(root);
  const planned = nodes.filter((n) => /^cdrs_\d/.test(n['Relation Name'] ?? ''));
  const months = planned.filter((n) => n['Actual Loops'] > 0);
  return {
    planned: new Set(planned.map((n) => n['Relation Name']!)),
    nodes,
    blocks: root['Shared Hit Blocks'] + root['Shared Read Blocks'],
    months: new Set(months.map((n) => n['Relation Name']!)),
  };
}

/** Tables of a few rows, which PostgreSQL is right to read whole. */
export const SMALL = ['accounts', 'watermarks', 'imports', 'api_keys', 'secrets', 'heartbeat'];

/** That a plan goes by indexes, and sorts no more than a page. */
export function assertByIndex(plan: Plan, most: { months: number; blocks: number; sorted?: number }): void {
  const scans = plan.nodes.filter(
    (n) => n['Node Type'] === 'Seq Scan' && n['Actual Loops'] > 0 && !SMALL.includes(n['Relation Name']!),
  );
  assert.deepEqual(
    scans.map((n) => n['Relation Name']),
    [],
    'read whole',
  );
  const sorts = plan.nodes.filter(
    (n) => /Sort/.test(n['Node Type']) && n['Actual Rows'] * n['Actual Loops'] > (most.sorted ?? PAGE),
  );
  assert.deepEqual(
    sorts.map((n) => [n['Node Type'], n['Actual Rows']]),
    [],
    'sorted',
  );
  assert.ok(plan.months.size <= most.months, `${plan.months.size} months were read: ${[...plan.months]}`);
  assert.ok(plan.blocks <= most.blocks, `${plan.blocks} blocks were read`);
}

/** What the nodes of a plan that read months gave, all together. */
export const readOfMonths = ({ nodes }: Plan): number =>
  nodes
    .filter((n) => /^cdrs_\d/.test(n['Relation Name'] ?? ''))
    .reduce((sum, n) => sum + (n['Actual Rows'] + (n['Rows Removed by Filter'] ?? 0)) * n['Actual Loops'], 0);
