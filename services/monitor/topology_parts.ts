/** The parts and edges of the topology. */

export const PART_STATES = ['UP', 'DOWN', 'MAINT', 'DRAIN', 'NOT_READY', 'UNKNOWN'] as const;
export type PartState = (typeof PART_STATES)[number];

export interface Part {
  readonly id: string;
  readonly name: string;
  readonly role:
    | 'monitor'
    | 'service'
    | 'haproxy'
    | 'bouncer'
    | 'primary'
    | 'replica'
    | 'postgres'
    | 'source'
    | 'disk'
    | 'backup'
    | 'etcd'
    | 'supervisor'
    | 'lease'
    | 'redis'
    | 'rabbitmq'
    | 'queue'
    | 'relay';
  readonly state: PartState;
  /** RFC 3339: the beginning of the state, as far as the monitor knows. */
  readonly since: string;
  /** Connections or sessions now; null if unknown. */
  readonly connections: number | null;
  /** The reason of the state, in words. */
  readonly detail: string;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  /** The traffic on it: a proxy of HAProxy, or `health` for the monitor's own requests. */
  readonly via: string;
  /** New sessions in the last second; null if they are not counted. */
  readonly rate_per_s: number | null;
  /** Failed connects and answers a second since the last poll. */
  readonly errors_per_s: number | null;
  readonly connections: number | null;
}

export interface Topology {
  /** RFC 3339; null before the first poll. */
  readonly at: string | null;
  readonly parts: readonly Part[];
  readonly edges: readonly Edge[];
}

/** A part without the beginning of its state; `changedAt` is its source's time, in steady milliseconds. */
export type Seen = Omit<Part, 'since'> & { readonly changedAt?: number };
