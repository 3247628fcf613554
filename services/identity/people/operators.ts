/** Operators made from the command line: the first one, and the way in when every other is lost. */
import { randomBytes } from 'node:crypto';
import type { Actor } from '#platform/database/audit.ts';
import { type Pool, withTransaction } from '#platform/database/pool.ts';
import { noteAudit } from '../store.ts';
import { hashPassword } from './passwords.ts';
import { forgetAccess, insertOperator, insertPassword, resetToOperator } from './store.ts';

/** 144 random bits. */
const PASSWORD_BYTES = 18;

export interface WantedOperator {
  /** In lower case. */
  readonly email: string;
  readonly name: string;
  /** For a person who is there already: loses password, second factor and sessions. */
  readonly reset: boolean;
}

export interface MadeOperator {
  readonly id: string;
  readonly email: string;
  /** It can't be shown again. */
  readonly password: string;
}

/** @throws Error when there is such a person and no reset is wanted, or the other way round */
export async function makeOperator(
  pool: Pool,
  { email, name, reset }: WantedOperator,
  by: Actor,
): Promise<MadeOperator> {
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  const hash = await hashPassword(password);
  return withTransaction(pool, async (session) => {
    const person = await session.row(reset ? resetToOperator(email) : insertOperator(email, name));
    if (!person)
      throw new Error(
        reset
          ? 'there is nobody with this e-mail'
          : 'there is a person with this e-mail already; --reset lets that person in anew',
      );
    for (const statement of forgetAccess(person.id)) await session.run(statement);
    await session.run(insertPassword(person.id, hash));
    const action = reset ? 'users.reset_operator' : 'users.make_operator';
    await session.run(noteAudit(by, { action, subject: `user ${person.id}` }));
    return { id: person.id, email, password };
  });
}
