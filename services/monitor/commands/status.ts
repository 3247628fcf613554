/** `trunkline status`: every part of the system in the monitor's topology. */
import { Command } from 'commander';
import { duration, print, printJson, table } from '#platform/terminal/print.ts';
import type { Alert } from '../contract.ts';
import type { Part, Topology } from '../topology_parts.ts';
import { askMonitor, type MonitorOptions, withMonitor } from './monitor_client.ts';
import type { MonitorTools } from './tools.ts';

export function statusCommand({ parts }: MonitorTools): Command {
  return withMonitor(new Command('status'))
    .description('every part with its state, and the active alerts (exit code 1 when a part is not UP)')
    .option('--json', 'the topology as JSON')
    .addHelpText('after', '\nExamples:\n  trunkline status\n  trunkline status --json | jq .parts')
    .action(async (options: MonitorOptions & { json?: true }) => {
      const topology = (await askMonitor('GET', '/topology', options, parts())) as Topology;
      if (topology.parts.some(isAmiss)) process.exitCode = 1;
      if (options.json) return printJson(topology);
      const { active } = (await askMonitor('GET', '/alerts', options, parts())) as { active: Alert[] };
      print(statusText(topology, active, Date.now()));
    });
}

/** A disk without a reader is shown as UNKNOWN, which is no fault. */
const isAmiss = ({ role, state }: Part): boolean =>
  state !== 'UP' && !(role === 'disk' && state === 'UNKNOWN');

/** @param now wall-clock milliseconds since 1970 */
export function statusText(topology: Topology, active: readonly Alert[], now: number): string {
  if (topology.at === null) return 'the monitor has not polled yet';
  const since = (stamp: string) => duration(Math.max(0, (now - Date.parse(stamp)) / 1_000));
  const parts = table(
    ['part', 'role', 'state', 'for', 'connections', ''],
    topology.parts.map((part) => {
      const { id, role, state, connections, detail } = part;
      return [id, role, state, since(part.since), connections, detail];
    }),
  );
  const firing = active.filter((alert) => alert.state === 'firing');
  const alerts = firing.map((alert) => {
    const notes = [
      ...(alert.acknowledged ? [`acknowledged by ${alert.acknowledged.by}`] : []),
      ...(alert.silenced_by ? ['silenced'] : []),
      ...(alert.flapping ? ['flapping'] : []),
    ];
    return [alert.id, alert.severity, alert.message, since(alert.since), notes.join(', ')];
  });
  const told =
    alerts.length > 0 ? table(['alert', 'severity', 'what', 'for', ''], alerts) : 'no alert is active';
  return `${parts}\n${downServices(topology)}\n${told}`;
}

/** Where the monitor looks for services that do not answer: one that runs with another port is not found. */
const downServices = ({ parts }: Topology): string =>
  parts
    .filter(({ role, state }) => role === 'service' && state === 'DOWN')
    .map(
      ({ id }) =>
        `${id}: the monitor looks for it where MONITOR_SERVICES says, or at the ${id.toUpperCase()}_PORT that the monitor was started with\n`,
    )
    .join('');
