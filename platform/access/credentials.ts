/** The credentials of a request. */
import { isKeyForm } from './key.ts';

export type Credentials =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'none' };

/**
 * Reads the Authorization header.
 * @param basic whether `Basic` is accepted too, with the key as its password: FreeSWITCH supports nothing else
 */
export function readCredentials(authorization: string | undefined, basic: boolean): Credentials {
  const [, scheme = '', value = ''] = /^(\S+) +(\S+)$/.exec(authorization ?? '') ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer':
      if (isKeyForm(value)) return { kind: 'key', key: value };
      return value.split('.').length === 3 ? { kind: 'token', token: value } : { kind: 'none' };
    case 'basic': {
      if (!basic) return { kind: 'none' };
      const userAndPassword = Buffer.from(value, 'base64').toString();
      const key = userAndPassword.slice(userAndPassword.indexOf(':') + 1);
      return isKeyForm(key) ? { kind: 'key', key } : { kind: 'none' };
    }
    default:
      return { kind: 'none' };
  }
}
