/** The monitor's API: alerts, silences, the topology. All routes need the monitor's key. */

import { elapsed, failures, NO_QUERY } from '#platform/http/answers.ts';
import { clientOf } from '#platform/http/client_address.ts';
import { createEventStreams } from '#platform/http/event_stream.ts';
import { tellRate } from '#platform/http/rate_headers.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createRateLimit } from '#platform/resilience/rate_limit.ts';
import { createTenantBound } from '#platform/resilience/tenant_bound.ts';
import { isPrintable } from '#platform/telemetry/printable.ts';
import type { Alert as AlertRecord, Silence as SilenceRecord } from './alert_book.ts';
import {
  Acknowledgement,
  type Alert,
  AlertAnswer,
  AlertParams,
  AlertsAnswer,
  NewSilence,
  SilenceAnswer,
  SilenceParams,
  TestAnswer,
  TopologyAnswer,
} from './contract.ts';
import { monitorError } from './errors.ts';
import { silencedBy } from './excuses.ts';
import { labelsOf } from './measure.ts';
import type { Monitor } from './monitor.ts';
import { RULES, runbookAnchor } from './rules.ts';
import { readSilenceEnd } from './silence_end.ts';
import { SEVERITIES } from './words.ts';

export interface RoutesNeeds {
  readonly monitor: Monitor;
  readonly isKey: (authorization: string | undefined) => boolean;
  readonly clock: Clock;
  /** Aborts when the service stops: event streams end. */
  readonly stopping: AbortSignal;
}

/** The interval at which the topology is checked for changes; a change is sent as an event. */
export const EVENT_INTERVAL_MS = 1_000;
/** How long `alerts test` waits for each channel. */
export const TEST_LIMIT_MS = 15_000;
export const REQUESTS_PER_MINUTE = 600;
const MINUTE_MS = 60_000;
/** Maximum of silences at a time. */
const SILENCE_LIMIT = 200;

const secured = { tags: ['monitor'], security: [{ bearer: [] as string[] }], querystring: NO_QUERY };

export async function monitorRoutes(server: Server, needs: RoutesNeeds): Promise<void> {
  await server.register(async (plugin) => {
    const api = plugin as unknown as Server;
    // Not counted in Redis: the monitor needs none of the parts that it watches.
    const limit = { what: 'address', max: REQUESTS_PER_MINUTE, windowMs: MINUTE_MS };
    const ofAddress = createRateLimit({ ...limit, clock: needs.clock });
    api.addHook('onRequest', async (request, reply) => {
      // Before the check of the key, so that keys can't be guessed by trying.
      const rate = await ofAddress(clientOf(request));
      tellRate(reply, rate);
      if (!rate.allowed) {
        const message = 'Too many requests from this address';
        throw monitorError('rate_limited', { message, retryAfterS: rate.endsInMs / 1_000 });
      }
      if (!needs.isKey(request.headers.authorization)) throw monitorError('unauthorized');
    });
    alertRoutes(api, needs);
    topologyRoute(api, needs);
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
        summary: 'Acknowledge an alert',
        params: AlertParams,
        body: Acknowledgement,
        response: { 200: AlertAnswer, ...failures(400, 401, 404, 429) },
      },
    },
    async (request, reply) => {
      const { by, note = '' } = request.body;
      requirePrintable({ by, note });
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
          message: `${by} acknowledged: ${alert.message}`,
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
        summary: 'Hold back some alerts until a time',
        description:
          'Alerts that still hold at its end are sent then. Recoveries of alerts that were sent before are not held back.',
        body: NewSilence,
        response: { 200: SilenceAnswer, ...failures(400, 401, 409, 429) },
      },
    },
    async (request, reply) => {
      const { match, until, by, reason } = request.body;
      requirePrintable({ by, reason });
      const end = readSilenceEnd(until, clock.now());
      if (end.kind === 'bad') throw monitorError('bad_silence', { message: end.reason });
      const fault = matchFault(match);
      if (fault !== undefined) throw monitorError('bad_silence', { message: fault });
      if (state.alerts.silences.length >= SILENCE_LIMIT) throw monitorError('too_many_silences');
      state.alerts.count++;
      const silence = { id: `s${state.alerts.count}`, match, by, reason, until: time.now() + end.inMs };
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
        description: `Waits ${TEST_LIMIT_MS / 1_000} s at most for each. Tests that are not delivered by then are retried later.`,
        response: { 200: TestAnswer, ...failures(401, 429) },
      },
    },
    async (_request, reply) => {
      const ids = monitor.tell({
        kind: 'test',
        severity: 'info',
        title: 'Trunkline Monitor',
        message: 'this is a test: alerts reach you by this channel',
        details: ['Nothing is wrong.'],
        keys: [],
        runbook: 'test',
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

/** @throws ApiError 400 for text with characters that reverse or hide text; the schema refuses control characters. */
function requirePrintable(words: Readonly<Record<string, string>>): void {
  const [field] = Object.entries(words).find(([, text]) => !isPrintable(text)) ?? [];
  if (field === undefined) return;
  const message = `Body field \`${field}\` has characters that reverse the order of text, or are invisible`;
  throw monitorError('bad_request', { message, fields: { fields: [field] } });
}

/** The reason why no alert can ever match: a silence with a typing error would hold back nothing, unnoticed until night. */
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

/** Streams are limited by address, since the monitor has one key for all users. */
export const STREAMS_OF_ADDRESS = 10;
const STREAMS_IN_ALL = 50;
const STREAM_RETRY_S = 10;

function topologyRoute(api: Server, { monitor, clock, stopping }: RoutesNeeds): void {
  const current = () => monitor.topology;
  const streams = createEventStreams({ intervalMs: EVENT_INTERVAL_MS, current, clock, stopping });
  const open = createTenantBound({ perTenant: STREAMS_OF_ADDRESS, inAll: STREAMS_IN_ALL });
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
        const entry = open.enter(clientOf(request));
        if (!entry.entered) {
          const message = `At most ${STREAMS_OF_ADDRESS} streams of events from one address at once, ${STREAMS_IN_ALL} in all`;
          throw monitorError('rate_limited', { message, retryAfterS: STREAM_RETRY_S });
        }
        reply.raw.once('close', entry.leave);
        return streams.open(reply) as never;
      }
      return { success: true as const, data: monitor.topology, duration_ms: elapsed(reply) };
    },
  );
}
