/** Identity's definition. So far it keeps the keys; no part of it runs alone. */
import { defineService, migrationsBeside } from '#platform/service/definition.ts';
import type { IdentityTools } from './commands/tools.ts';

export const identity = defineService({
  name: 'identity',
  purpose: 'callers and their rights: keys of the API',
  description: 'Callers and their rights.',
  migrations: migrationsBeside(import.meta.url, 'identity'),
  commands: {
    keys: async (tools: IdentityTools) => (await import('./commands/keys.ts')).keysCommand(tools),
  },
});
