/** Identity's definition. */
import { defineService, migrationsBeside } from '#platform/service/definition.ts';
import type { DatabaseTools } from '#platform/service/tools.ts';
import type { IdentityTools } from './commands/tools.ts';
import { IDENTITY_SETTINGS, type IdentitySettings } from './settings.ts';
import type { IdentityGiven } from './start.ts';

export const identity = defineService({
  name: 'identity',
  purpose: 'callers and their rights: keys of the API, people who sign in',
  description: 'People who sign in, and their sessions.',
  port: 3007,
  settings: IDENTITY_SETTINGS,
  migrations: migrationsBeside(import.meta.url, 'identity'),
  start: async (tools: DatabaseTools<IdentitySettings> & IdentityGiven) =>
    (await import('./start.ts')).startIdentity(tools),
  commands: {
    keys: async (tools: IdentityTools) => (await import('./commands/keys.ts')).keysCommand(tools),
    orgs: async (tools: IdentityTools) => (await import('./commands/orgs.ts')).orgsCommand(tools),
    invite: async (tools: IdentityTools) => (await import('./commands/invite.ts')).inviteCommand(tools),
    users: async (tools: IdentityTools) => (await import('./commands/users.ts')).usersCommand(tools),
  },
});
