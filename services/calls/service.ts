/** The calls service's definition, before it runs. */
import { defineService, migrationsBeside } from '#platform/service/definition.ts';
import type { DatabaseTools } from '#platform/service/tools.ts';
import type { CallsTools } from './commands/tools.ts';
import { accountChanged, accountCreated, callsImported } from './contract.ts';
import { FRESHNESS_HEADERS } from './freshness.ts';
import { CALLS_SETTINGS, type CallsSettings } from './settings.ts';
import type { CallsGiven } from './start.ts';
import { CALLS_SUMS } from './sums.ts';

export const calls = defineService({
  name: 'calls',
  purpose: 'the API of calls and consumption',
  description: 'Calls and consumption of accounts, and the routes on which switches post calls.',
  port: 3006,
  exposedHeaders: FRESHNESS_HEADERS,
  migrations: {
    ...migrationsBeside(import.meta.url, 'calls'),
    makesServiceTables: true,
    runsWithLaterFrom: '0004_outcomes_by_one_rule',
    knowsMarksFrom: '0023_marks_of_use',
  },
  sums: CALLS_SUMS,
  publishes: [accountCreated, accountChanged, callsImported],
  settings: CALLS_SETTINGS,
  start: async (tools: DatabaseTools<CallsSettings> & CallsGiven) =>
    (await import('./start.ts')).startCalls(tools),
  firstSteps: () => import('./first_steps.ts'),
  leftToRepair: async (pool) => (await import('./jobs/outcome_repairs.ts')).leftToRepair(pool),
  commands: {
    import: async (tools: CallsTools) => (await import('./commands/import.ts')).importCommand(tools),
    imports: async (tools: CallsTools) => (await import('./commands/imports.ts')).importsCommand(tools),
    sources: async (tools: CallsTools) => (await import('./commands/sources.ts')).sourcesCommand(tools),
    accounts: async (tools: CallsTools) => (await import('./commands/accounts.ts')).accountsCommand(tools),
    report: async (tools: CallsTools) => (await import('./commands/report.ts')).reportCommand(tools),
    erase: async (tools: CallsTools) => (await import('./commands/erase.ts')).eraseCommand(tools),
  },
});
