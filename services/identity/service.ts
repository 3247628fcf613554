/** Identity, as the program knows it. So far it keeps the keys; nothing of it runs by itself. */
import { defineService, migrationsBeside } from '#platform/service/definition.ts';
import type { IdentityTools } from './commands/tools.ts';

export const identity = defineService({
  name: 'identity',
  purpose: 'who may ask: keys of the API',
  description: 'Who may ask.',
  migrations: migrationsBeside(import.meta.url, 'identity'),
  commands: {
    keys: async (tools: IdentityTools) => (await import('./commands/keys.ts')).keysCommand(tools),
  },
});
