/** What the picture of the system is made of. */

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
    | 'lease';
  readonly state: PartState;
  /** RFC 3339: since when, as far as the monitor knows. */
  readonly since: string;
  /** Connections or sessions now; null where that is not known. */
  readonly connections: number | null;
  /** What is behind the state, in words. */
  readonly detail: string;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  /** What goes over it: a proxy of HAProxy, or `health` for the monitor's own questions. */
  readonly via: string;
  /** New sessions a second in the last second; null where nobody counts them. */
  readonly rate_per_s: number | null;
  /** Failed connects and answers a second since the poll before. */
  readonly errors_per_s: number | null;
  readonly connections: number | null;
}

export interface Topology {
  /** RFC 3339; null before the first poll. */
  readonly at: string | null;
  readonly parts: readonly Part[];
  readonly edges: readonly Edge[];
}

/** A part before it is known since when it is so; `changedAt` as its source says, steady milliseconds. */
export type Seen = Omit<Part, 'since'> & { readonly changedAt?: number };
