/** The monitor's API: alerts, silences, the picture of the system. All of it wants the monitor's key. */
import { Readable } from 'node:stream';
import rateLimit from '@fastify/rate-limit';
import type { FastifyReply } from 'fastify';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { type Alert as AlertRecord, type Silence as SilenceRecord, silencedBy } from './alerts.ts';
import {
  Acknowledgement,
  type Alert,
  AlertAnswer,
  AlertParams,
  AlertsAnswer,
  failures,
  NewSilence,
  SilenceAnswer,
  SilenceParams,
  TestAnswer,
  TopologyAnswer,
  Words,
} from './contract.ts';
import { monitorError } from './errors.ts';
import { labelsOf } from './measure.ts';
import type { Monitor } from './monitor.ts';
import { RULES, runbookAnchor, SEVERITIES } from './rules.ts';

export interface RoutesNeeds {
  readonly monitor: Monitor;
  readonly isKey: (authorization: string | undefined) => boolean;
  readonly clock: Clock;
  /** Aborted when the service stops: events end. */
  readonly stopping: AbortSignal;
}

/** How often the topology is looked at for its events; one is sent when it has changed. */
export const EVENT_INTERVAL_MS = 1_000;
/** How long `alerts test` waits for each channel. */
export const TEST_LIMIT_MS = 15_000;
const REQUESTS_PER_MINUTE = 600;
const MINUTE_MS = 60_000;
/** Silences that hold at once. */
const SILENCE_LIMIT = 200;

const NOTHING = { type: 'object', additionalProperties: false, properties: {} } as const;
const secured = { tags: ['monitor'], security: [{ bearer: [] as string[] }], querystring: NOTHING };

export async function monitorRoutes(server: Server, needs: RoutesNeeds): Promise<void> {
  healthRoutes(server, needs.monitor);
  await server.register(async (plugin) => {
    const api = plugin as unknown as Server;
    // By address, before the key is looked at: nobody tries out keys here.
    await api.register(rateLimit, {
      max: REQUESTS_PER_MINUTE,
      timeWindow: MINUTE_MS,
      errorResponseBuilder: (_request, { ttl }) => monitorError('rate_limited', { retryAfterS: ttl / 1_000 }),
    });
    api.addHook('onRequest', async (request) => {
      if (!needs.isKey(request.headers.authorization)) throw monitorError('unauthorized');
    });
    alertRoutes(api, needs);
    topologyRoute(api, needs);
  });
}

function healthRoutes(server: Server, monitor: Monitor): void {
  const schema = (summary: string) => ({
    tags: ['health'],
    summary,
    security: [],
    response: { 200: Words, ...failures(503) },
  });
  server.get('/health/live', { schema: schema('The process answers') }, async () => {
    return { success: true as const, status: 'live' };
  });
  server.get('/health/ready', { schema: schema('The system has been looked at') }, async () => {
    if (monitor.topology.at === null) throw monitorError('unavailable', { message: 'No poll has ended yet' });
    return { success: true as const, status: 'ready' };
  });
  server.get('/health', { schema: schema('The monitor in words') }, async () => {
    const firing = Object.values(monitor.state.alerts.active).filter((alert) => alert.state === 'firing');
    const waiting = monitor.state.deliveries.length;
    return {
      success: true as const,
      status: `${firing.length} alerts active, ${waiting} waiting to be sent`,
    };
  });
}

function alertRoutes(api: Server, { monitor, clock }: RoutesNeeds): void {
  const { state, time } = monitor;
  const shown = (alert: AlertRecord): Alert => {
    const silence = alert.state === 'resolved' ? undefined : silencedBy(state.alerts, alert);
    const { id, rule, severity, title, message, labels, announced, acknowledged, cause } = alert;
    return {
      ...{ id, rule, severity, title, message, labels, announced, state: alert.state },
      since: time.stamp(alert.since),
      ...(alert.resolvedAt !== undefined && { resolved_at: time.stamp(alert.resolvedAt) }),
      flapping: alert.key in state.alerts.flapping,
      ...(cause !== undefined && { cause }),
      ...(silence && { silenced_by: silence.id }),
      ...(acknowledged && { acknowledged: { ...acknowledged, at: time.stamp(acknowledged.at) } }),
      runbook: runbookAnchor(rule),
    };
  };
  const shownSilence = ({ id, match, by, reason, until }: SilenceRecord) => {
    return { id, match, by, reason, until: time.stamp(until) };
  };

  api.get(
    '/alerts',
    {
      schema: {
        ...secured,
        summary: 'Alerts: active, past, silenced, not yet delivered',
        response: { 200: AlertsAnswer, ...failures(401, 429) },
      },
    },
    async (_request, reply) => ({
      success: true as const,
      data: {
        active: Object.values(state.alerts.active).map(shown),
        history: state.alerts.history.map(shown),
        silences: state.alerts.silences.filter(({ until }) => until > time.now()).map(shownSilence),
        undelivered: state.deliveries.map(({ id, channel, attempts, notice }) => {
          return { id, channel, attempts, kind: notice.kind, message: notice.message };
        }),
      },
      duration_ms: elapsed(reply),
    }),
  );

  api.post(
    '/alerts/:id/acknowledge',
    {
      schema: {
        ...secured,
        summary: 'Say that somebody looks after an alert',
        params: AlertParams,
        body: Acknowledgement,
        response: { 200: AlertAnswer, ...failures(400, 401, 404, 429) },
      },
    },
    async (request, reply) => {
      const { by, note = '' } = request.body;
      const { id } = request.params;
      const alert = Object.values(state.alerts.active).find((one) => one.id === id && one.state === 'firing');
      if (!alert) throw monitorError('no_alert', { message: `No active alert is called ${id}` });
      const first = alert.acknowledged === undefined;
      alert.acknowledged = { by, note, at: time.now() };
      if (first && alert.announced) {
        monitor.tell({
          kind: 'acknowledged',
          severity: alert.severity,
          title: alert.title,
          message: `${by} looks after it: ${alert.message}`,
          details: note === '' ? [] : [note],
          keys: [alert.key],
          runbook: runbookAnchor(alert.rule),
        });
      }
      await monitor.save();
      return { success: true as const, data: shown(alert), duration_ms: elapsed(reply) };
    },
  );

  api.post(
    '/silences',
    {
      schema: {
        ...secured,
        summary: 'Keep some alerts from being sent until a time',
        description: 'What still holds at its end is sent then. Recoveries of what was sent before are sent.',
        body: NewSilence,
        response: { 200: SilenceAnswer, ...failures(400, 401, 409, 429) },
      },
    },
    async (request, reply) => {
      const { match, until, by, reason } = request.body;
      const leftMs = Date.parse(until) - clock.now();
      if (!/(?:Z|[+-]\d\d:\d\d)$/i.test(until) || Number.isNaN(leftMs)) {
        throw monitorError('bad_silence', { message: '`until` must be an instant of RFC 3339 with a zone' });
      }
      if (leftMs <= 0) throw monitorError('bad_silence');
      const fault = matchFault(match);
      if (fault !== undefined) throw monitorError('bad_silence', { message: fault });
      if (state.alerts.silences.length >= SILENCE_LIMIT) throw monitorError('too_many_silences');
      state.alerts.count++;
      const silence = { id: `s${state.alerts.count}`, match, by, reason, until: time.now() + leftMs };
      state.alerts.silences.push(silence);
      await monitor.save();
      return { success: true as const, data: shownSilence(silence), duration_ms: elapsed(reply) };
    },
  );

  api.delete(
    '/silences/:id',
    {
      schema: {
        ...secured,
        summary: 'End a silence before its time',
        params: SilenceParams,
        response: { 200: SilenceAnswer, ...failures(400, 401, 404, 429) },
      },
    },
    async (request, reply) => {
      const { silences } = state.alerts;
      const place = silences.findIndex(({ id, until }) => id === request.params.id && until > time.now());
      const [ended] = place < 0 ? [] : silences.splice(place, 1);
      if (!ended) throw monitorError('no_silence');
      await monitor.save();
      return { success: true as const, data: shownSilence(ended), duration_ms: elapsed(reply) };
    },
  );

  api.post(
    '/alerts/test',
    {
      schema: {
        ...secured,
        summary: 'Send a test through each channel',
        description: `Waits ${TEST_LIMIT_MS / 1_000} s at most for each. What is not delivered by then is tried again later.`,
        response: { 200: TestAnswer, ...failures(401, 429) },
      },
    },
    async (_request, reply) => {
      const ids = monitor.tell({
        kind: 'test',
        severity: 'info',
        title: 'Trunkline Monitor',
        message: 'this is a test: alerts reach you this way',
        details: ['Nothing is wrong.'],
        keys: [],
        runbook: 'heartbeat',
      });
      const data = await Promise.all(
        ids.map(async (id) => {
          const channel = id.slice(id.lastIndexOf('-') + 1);
          try {
            await monitor.deliveries.outcome(id, TEST_LIMIT_MS);
            return { channel, delivered: true };
          } catch (error) {
            return { channel, delivered: false, error: (error as Error).message };
          }
        }),
      );
      return { success: true as const, data, duration_ms: elapsed(reply) };
    },
  );
}

/** Why no alert can ever match: a typing error would keep nothing still, and be noticed at night. */
function matchFault({ rule: name, severity, ...labels }: Record<string, string>): string | undefined {
  const rules = RULES.filter((rule) => name === undefined || rule.name === name);
  if (rules.length === 0) return `No rule is called ${name}: ${RULES.map((rule) => rule.name).join(', ')}`;
  if (severity !== undefined && !rules.some((rule) => rule.severity === severity)) {
    return `No such alert is ${severity}: \`severity\` is one of ${SEVERITIES.join(', ')}`;
  }
  const known = new Set(rules.flatMap(({ measure }) => labelsOf(measure)));
  const unknown = Object.keys(labels).find((label) => !known.has(label));
  return unknown && `No such alert has a label ${unknown}: ${['rule', 'severity', ...known].join(', ')}`;
}

function topologyRoute(api: Server, { monitor, clock, stopping }: RoutesNeeds): void {
  api.get(
    '/topology',
    {
      exposeHeadRoute: false,
      schema: {
        ...secured,
        summary: 'Every part of the system and the edges between them',
        description: 'With `Accept: text/event-stream`: at once, and again after each poll.',
        response: { 200: TopologyAnswer, ...failures(401, 429) },
      },
    },
    async (request, reply) => {
      if (request.headers.accept?.includes('text/event-stream')) {
        return reply
          .type('text/event-stream; charset=utf-8')
          .header('cache-control', 'no-store')
          .send(Readable.from(events(request.raw.socket)) as never);
      }
      return { success: true as const, data: monitor.topology, duration_ms: elapsed(reply) };
    },
  );

  async function* events(socket: { readonly destroyed: boolean }): AsyncGenerator<string> {
    let sent: object | undefined;
    while (!socket.destroyed && !stopping.aborted) {
      const { topology } = monitor;
      if (topology !== sent) yield `data: ${JSON.stringify(topology)}\n\n`;
      sent = topology;
      await clock.sleep(EVENT_INTERVAL_MS, stopping).catch(() => undefined);
    }
  }
}

const elapsed = (reply: FastifyReply): number => Math.round(reply.elapsedTime * 10) / 10;
