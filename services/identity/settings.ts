/** Identity's settings. */
import { isIP } from 'node:net';
import { Fault } from '#platform/config/readers.ts';
import { optional, type SettingsTable, setting, type ValuesOf } from '#platform/config/settings.ts';
import type { DatabaseSettings } from '#platform/service/tools.ts';

export const IDENTITY_SETTINGS = {
  publicUrl: setting(
    'http://localhost:3001',
    'Where people reach the console, as their browser shows it; cookies and links are made for it. Signing in needs https, but on localhost',
    asPublicUrl,
    { env: 'PUBLIC_URL', secret: true },
  ),
  encryptionKeys: optional(
    'Keys that encrypt secrets in the database, separated by commas, each 32 random bytes in base64 (`openssl rand -base64 32`): the first encrypts, all decrypt. Not set: a file in DATA_DIR',
    asKeys,
    { env: 'ENCRYPTION_KEYS', secret: true },
  ),
} as const satisfies SettingsTable;

export type IdentitySettings = DatabaseSettings & ValuesOf<typeof IDENTITY_SETTINGS>;

/** An origin whose host is a name: passkeys refuse addresses. */
function asPublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (!url || !isWeb || url.origin !== text.replace(/\/$/, ''))
    throw new Fault('a URL such as https://console.example.com, without a path');
  if (isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0)
    throw new Fault('a URL with a name: on this machine http://localhost:3001, elsewhere a name of DNS');
  return url.origin;
}

function asKeys(text: string): string[] {
  const keys = text.split(',').map((key) => key.trim());
  if (!keys.every((key) => /^[A-Za-z0-9+/]{43}=$/.test(key)))
    throw new Fault('the base64 of 32 bytes each, separated by commas');
  if (new Set(keys).size < keys.length) throw new Fault('different keys: one stands there twice');
  return keys;
}
