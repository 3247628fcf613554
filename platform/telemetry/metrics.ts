/** Prometheus metrics. Each service has a registry, so that services in one process do not mix their figures. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export { Counter, Gauge, Histogram, type Registry };

/**
 * Exports a gauge with one figure for each row, labelled by the row's name; null: the row has no figure now.
 * @param rowsNow the current rows, called at each collection
 */
export function exportBy<Row>(
  registry: Registry,
  { label, nameOf, rowsNow }: { label: string; nameOf(row: Row): string; rowsNow(): readonly Row[] },
): (name: string, help: string, pick: (row: Row) => number | null) => void {
  return (name, help, pick) => {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        this.reset();
        for (const row of rowsNow()) {
          const value = pick(row);
          if (value !== null) this.set({ [label]: nameOf(row) }, value);
        }
      },
    });
  };
}

/** Buckets for request and query times, in seconds: a millisecond to the 30 s deadline. */
export const DURATION_BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** @param service becomes the label `service` of every figure */
export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  return registry;
}
