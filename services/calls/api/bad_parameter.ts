import { callsError } from '../errors.ts';

/**
 * A 400 that names a parameter of the query.
 * @param reason goes on from the parameter's name
 */
export function badParameter(name: string, reason: string) {
  return callsError('bad_request', {
    message: `Query parameter \`${name}\` ${reason}`,
    fields: { fields: [name] },
  });
}
