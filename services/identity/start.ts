/** Starts identity's routes for people. Better Auth is loaded with the first request of one. */

import { withSession } from '#platform/database/pool.ts';
import { transaction } from '#platform/database/session.ts';
import type { DatabaseTools, StartedService } from '#platform/service/tools.ts';
import type { Authority } from './people/better_auth.ts';
import { checkKeys, encryptionKeys } from './people/encryption_keys.ts';
import { createPasswords } from './people/passwords.ts';
import { createPeople } from './people/people.ts';
import { step } from './people/request.ts';
import { peopleRoutes } from './people/routes.ts';
import { forgetEnded } from './people/store.ts';
import type { IdentitySettings } from './settings.ts';

/** What `system.ts` gives identity, beside what every service is given. */
export interface IdentityGiven {
  /** Where the file of encryption keys is, unless ENCRYPTION_KEYS is set. */
  readonly folder: string;
}

const FORGET_EVERY_MS = 600_000;

export async function startIdentity(
  tools: DatabaseTools<IdentitySettings> & IdentityGiven,
): Promise<StartedService> {
  const { settings, database, clock, lifetime, secret, folder } = tools;
  const { publicUrl } = settings;
  const passwords = createPasswords(clock);
  lifetime.onStop('passwords', passwords.close);

  let made: Promise<Authority> | undefined;
  /** Made once; a failure is not remembered. */
  const authority = () => {
    made ??= makeAuthority().catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };
  const makeAuthority = async () => {
    const keys = await encryptionKeys(settings.encryptionKeys, folder);
    await step((context) =>
      database.readForWrite(context, (session) => transaction(session, () => checkKeys(session, keys))),
    );
    const { createAuthority } = await import('./people/better_auth.ts');
    return createAuthority({ publicUrl, keys, database, passwords });
  };
  const people = createPeople({ database, authority, passwords, publicUrl, secret });
  return {
    openRoutes: (server) => peopleRoutes(server, { people, publicUrl, clock }),
    jobs: [
      {
        name: 'forget what has ended',
        everyMs: FORGET_EVERY_MS,
        runOnce: () =>
          withSession(database.pool, async (session) => {
            for (const statement of forgetEnded()) await session.run(statement);
          }),
      },
    ],
  };
}
