/**
 * Watches the keepers of a PostgreSQL tier, which no client uses: etcd, the supervisor of a local tier, and the age of
 * the primary's lease; Redis, and the nodes of RabbitMQ. The program works without one of them until the next part is lost, so their
 * loss would go unnoticed.
 *
 * Each is asked every 2 s. The lease was renewed if its entry in etcd has changed since the last read; its age is
 * measured by the clock here.
 */
import { askOutside, FEW_BYTES } from '#platform/http/outside.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { readBrokerUrls } from '#platform/messaging/broker_address.ts';
import { createBrokerProbe } from '#platform/messaging/broker_probe.ts';
import { type Sample, sample } from './samples.ts';

export const KEEPER_INTERVAL_MS = 2_000;
const KEEPER_LIMIT_MS = 1_500;
/** A keeper that is silent for longer is down. */
export const KEEPER_SILENT_S = 8;
/** Patroni renews the lease each 5 s, and it lasts 20 (infrastructure/patroni/patroni.yml): older, it has run out. */
export const LEASE_OLD_S = 25;
/** Patroni's name for the tier in etcd's first API. */
const LEASE_PATH = '/v2/keys/service/trunkline/leader?quorum=true';
/** etcd's error code for a missing key. */
const NO_SUCH_KEY = 100;

type KeeperKind = 'etcd' | 'supervisor' | 'redis' | 'rabbitmq';

interface KeeperSource {
  readonly name: string;
  readonly kind: KeeperKind;
  /** Resolves if it answers that it is well. */
  readonly ask: (signal: AbortSignal) => Promise<unknown>;
  /** Gives back what it keeps between two questions. */
  readonly close?: () => Promise<void>;
}

/** The lease of the primary in etcd. */
export interface Lease {
  readonly holder: string;
  /** Changes with each renewal. */
  readonly version: string;
}

export interface KeepersNeeds {
  readonly sources: readonly KeeperSource[];
  /** null: no node holds it; rejects if it can't be read. Undefined: there is none to watch. */
  readonly readLease?: ((signal: AbortSignal) => Promise<Lease | null>) | undefined;
  readonly clock: Clock;
  /** Called when a keeper falls silent, and when it answers again. */
  readonly onChange: () => void;
}

export interface KeeperReading {
  readonly name: string;
  readonly kind: KeeperKind;
  /** Seconds since the last answer, while the last request had none; 0 otherwise; NaN before the first request. */
  readonly silentS: number;
  /** The reason why the last request had no answer; '' when it had one. */
  readonly fault: string;
}

export interface LeaseReading {
  /** '' if no node holds it, or it was never seen. */
  readonly holder: string;
  /** Seconds since a renewal was seen; NaN before the first. */
  readonly ageS: number;
}

interface Keepers {
  /** Asks the keepers until the signal, then resolves. */
  run(signal: AbortSignal): Promise<void>;
  readings(): KeeperReading[];
  /** undefined: there is none to watch. */
  lease(): LeaseReading | undefined;
}

interface KeeperState {
  readonly source: KeeperSource;
  answeredAt: number;
  asked: boolean;
  fault: string;
}

export function createKeepers({ sources, readLease, clock, onChange }: KeepersNeeds): Keepers {
  const states = sources.map(
    (source): KeeperState => ({ source, answeredAt: clock.monotonic(), asked: false, fault: '' }),
  );
  let seen: Lease | undefined;
  let renewedAt = Number.NaN;

  async function ask(state: KeeperState): Promise<void> {
    const { name, ask } = state.source;
    const before = state.fault;
    try {
      await within(clock, KEEPER_LIMIT_MS, `asking ${name}`, ask);
      state.answeredAt = clock.monotonic();
      state.fault = '';
    } catch (error) {
      state.fault = (error as Error).message || 'no answer';
    }
    state.asked = true;
    if ((before === '') !== (state.fault === '')) onChange();
  }

  async function lookAtLease(read: NonNullable<typeof readLease>): Promise<void> {
    const found = await within(clock, KEEPER_LIMIT_MS, 'reading the lease', read).catch(() => undefined);
    // If it can't be read, or no node holds it, it was not renewed.
    if (!found || (found.holder === seen?.holder && found.version === seen.version)) return;
    seen = found;
    renewedAt = clock.monotonic();
  }

  async function every(look: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = clock.monotonic() + KEEPER_INTERVAL_MS;
      await look();
      await clock.sleep(Math.max(0, next - clock.monotonic()), signal).catch(() => undefined);
    }
  }

  return {
    run: async (signal) => {
      const looks = states.map((state) => () => ask(state));
      if (readLease) looks.push(() => lookAtLease(readLease));
      await Promise.all(looks.map((look) => every(look, signal)));
      await Promise.all(sources.map(({ close }) => close?.()));
    },
    readings: () =>
      states.map(({ source, asked, answeredAt, fault }) => ({
        name: source.name,
        kind: source.kind,
        silentS: !asked ? Number.NaN : fault ? (clock.monotonic() - answeredAt) / 1_000 : 0,
        fault,
      })),
    lease: () => readLease && { holder: seen?.holder ?? '', ageS: (clock.monotonic() - renewedAt) / 1_000 },
  };
}

/** The keepers' samples, by the names in the rules. */
export const keeperSamples = (keepers: Keepers): Sample[] => [
  ...keepers
    .readings()
    .map(({ name, kind, silentS }) =>
      sample('monitor_keeper_silent_seconds', { keeper: name, kind }, silentS),
    ),
  ...[keepers.lease()].flatMap((lease) =>
    lease ? [sample('monitor_lease_age_seconds', { lease: 'primary' }, lease.ageS)] : [],
  ),
];

/** One etcd: it is well if it has a leader, too. @param url the URL of its clients' port */
export const etcdKeeper = (name: string, url: string): KeeperSource => ({
  name,
  kind: 'etcd',
  ask: async (signal) => {
    const { ok, status } = await askOutside(`${url}/health`, {
      ...{ signal, limitBytes: FEW_BYTES },
      longer: 'cut',
    });
    if (!ok) throw new Error(`etcd answers ${status}`);
  },
});

/** Redis. Its client is loaded only where there is one. */
export const redisKeeper = (url: string): KeeperSource => ({
  name: 'redis',
  kind: 'redis',
  ask: async () => {
    const { pingRedis } = await import('#platform/cache/redis_connection.ts');
    await pingRedis(url, systemClock);
  },
});

/** One node of RabbitMQ. @param url amqp://user:password@host:port */
export function rabbitmqKeeper(name: string, url: string): KeeperSource {
  const probe = createBrokerProbe(url);
  return { name, kind: 'rabbitmq', ask: probe.ask, close: probe.close };
}

/**
 * Reads the lease from the etcd that answers first.
 * @param urls the URLs of their clients' ports; none: there is no lease to watch
 */
export function leaseReader(urls: readonly string[]): KeepersNeeds['readLease'] {
  if (urls.length === 0) return undefined;
  const readOne = async (url: string, signal: AbortSignal): Promise<Lease | null> => {
    const { text } = await askOutside(url + LEASE_PATH, {
      ...{ signal, limitBytes: FEW_BYTES },
      longer: 'cut',
    });
    const { node, errorCode } = JSON.parse(text) as {
      node?: { value: string; modifiedIndex: number };
      errorCode?: number;
    };
    if (node) return { holder: node.value, version: String(node.modifiedIndex) };
    if (errorCode === NO_SUCH_KEY) return null;
    throw new Error(`etcd answers ${text}`);
  };
  return (signal) => Promise.any(urls.map((url) => readOne(url, signal)));
}

/** The nodes of RabbitMQ of an address, by host and port. @param others where there is no address */
export const brokersOf = (
  address: string | undefined,
  others: readonly { readonly name: string; readonly url: string }[] = [],
) => readBrokerUrls(address ?? '')?.map(({ host, href }) => ({ name: host, url: href })) ?? others;

/**
 * All keepers: those of a tier, Redis, and RabbitMQ.
 * @param redisUrl undefined: there is none
 * @param brokers the nodes of RabbitMQ
 * @param askSupervisor asks the supervisor of this installation's tier; undefined: there is none
 */
export const keepersOf = (
  etcds: readonly { readonly name: string; readonly url: string }[],
  askSupervisor: (() => Promise<unknown>) | undefined,
  redisUrl: string | undefined,
  brokers: readonly { readonly name: string; readonly url: string }[],
): Pick<KeepersNeeds, 'sources' | 'readLease'> => ({
  sources: [
    ...etcds.map(({ name, url }) => etcdKeeper(name, url.replace(/\/$/, ''))),
    ...(askSupervisor ? [{ name: 'supervisor', kind: 'supervisor' as const, ask: askSupervisor }] : []),
    ...(redisUrl === undefined ? [] : [redisKeeper(redisUrl)]),
    ...brokers.map(({ name, url }) => rabbitmqKeeper(name, url)),
  ],
  readLease: leaseReader(etcds.map(({ url }) => url.replace(/\/$/, ''))),
});
