/** Patroni's HTTP interface: the primary, the lag of the replicas, switchover, restart and configuration. */
import { askOutside } from '#platform/http/outside.ts';
import type { Node } from './layout.ts';
import type { Secrets } from './secrets.ts';

const REQUEST_LIMIT_MS = 3_000;
/** A switchover or restart answers only at its end. */
const ACTION_LIMIT_MS = 60_000;
const ANSWER_LIMIT_BYTES = 1024 * 1024;

export interface Member {
  readonly name: string;
  readonly role: 'leader' | 'sync_standby' | 'replica';
  /** `running` is healthy (`streaming` in newer versions of Patroni). */
  readonly state: string;
  readonly timeline?: number;
  /** Bytes of WAL behind the primary; 'unknown' when Patroni does not know it. */
  readonly lag?: number | 'unknown';
}

/** The members in the view of the first node that answers; undefined when none answers. */
export async function members(
  nodes: readonly Node[],
  limitMs = REQUEST_LIMIT_MS,
): Promise<Member[] | undefined> {
  for (const node of nodes) {
    try {
      const answer = await askOutside(`http://${node.host}:${node.restPort}/cluster`, {
        limitMs,
        limitBytes: ANSWER_LIMIT_BYTES,
        longer: 'refuse',
      });
      if (answer.ok) return (JSON.parse(answer.text) as { members: Member[] }).members;
    } catch {
      // this node does not answer; the next one may
    }
  }
  return undefined;
}

/** The node that holds the lease now. */
export async function leaderOf(nodes: readonly Node[]): Promise<Node | undefined> {
  const name = (await members(nodes))?.find((member) => member.role === 'leader')?.name;
  return nodes.find((node) => node.name === name);
}

/** Whether a member serves: it is up, and a replica is attached to the primary. */
export const isWell = (member: Member): boolean => member.state === 'running' || member.state === 'streaming';

/** Whether a replica confirms commits: with synchronous replication Patroni would promote no other one. */
export const hasSynchronous = (found: readonly Member[] | undefined): boolean =>
  found?.some((member) => member.role === 'sync_standby') ?? false;

/** Patroni's dynamic configuration, which has `synchronous_mode`. */
export async function configurationOf(nodes: readonly Node[]): Promise<Record<string, unknown>> {
  return (await request(nodes, 'GET', '/config', undefined, REQUEST_LIMIT_MS)) as Record<string, unknown>;
}

/** Switches synchronous replication on or off for the whole tier; the nodes apply it within loop_wait. */
export async function setSynchronous(nodes: readonly Node[], secrets: Secrets, on: boolean): Promise<void> {
  await request(nodes, 'PATCH', '/config', { synchronous_mode: on }, REQUEST_LIMIT_MS, secrets);
}

/**
 * Switches the leadership over; answers when the candidate has it. The leader is asked first: another node would act on
 * the request only in its next loop (loop_wait, 5 s), and clients are held so much longer.
 */
export async function switchover(
  nodes: readonly Node[],
  secrets: Secrets,
  leader: string,
  candidate: string,
): Promise<void> {
  const leaderFirst = nodes.toSorted((a, b) => Number(b.name === leader) - Number(a.name === leader));
  await request(leaderFirst, 'POST', '/switchover', { leader, candidate }, ACTION_LIMIT_MS, secrets);
}

/** Restarts the PostgreSQL of a node; answers when it is up again. */
export async function restartPostgres(node: Node, secrets: Secrets): Promise<void> {
  await request([node], 'POST', '/restart', {}, ACTION_LIMIT_MS, secrets);
}

/** Has a node's Patroni read its file again. */
export async function reloadPatroni(node: Node, secrets: Secrets): Promise<void> {
  await request([node], 'POST', '/reload', {}, REQUEST_LIMIT_MS, secrets);
}

/** Asks one node after the other until one succeeds. */
async function request(
  nodes: readonly Node[],
  method: string,
  path: string,
  body: unknown,
  limitMs: number,
  secrets?: Secrets,
): Promise<unknown> {
  let failure: unknown = new Error('no node to ask');
  for (const node of nodes) {
    try {
      const { ok, status, text } = await askOutside(`http://${node.host}:${node.restPort}${path}`, {
        method,
        limitBytes: ANSWER_LIMIT_BYTES,
        longer: 'refuse',
        limitMs,
        headers: {
          'content-type': 'application/json',
          ...(secrets && { authorization: `Basic ${btoa(`patroni:${secrets.rest}`)}` }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!ok) throw new Error(`${method} ${path} of ${node.name}: ${status} ${text.slice(0, 200)}`);
      return text.startsWith('{') ? JSON.parse(text) : text;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
