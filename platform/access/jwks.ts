/**
 * The keys of an identity provider (RFC 7517), fetched when they are needed, kept for ten minutes, and fetched again where a
 * token names a key that is not among them, but not more than once in half a minute: tokens of unknown keys cost nothing.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { askOutside } from '#platform/http/outside.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';

const TIMEOUT_MS = 5_000;
const LIMIT_BYTES = 256 * 1024;
export const KEPT_MS = 600_000;
export const COOLDOWN_MS = 30_000;

/** @returns finds a token's key; rejects with jose's errors, or why the keys can't be had */
export function remoteKeys(url: string, clock: Clock): JWTVerifyGetKey {
  let kept: { readonly keyOf: JWTVerifyGetKey; readonly at: number } | undefined;
  let fetching: Promise<JWTVerifyGetKey> | undefined;
  const ageMs = () => (kept ? clock.monotonic() - kept.at : Number.POSITIVE_INFINITY);

  function refresh(): Promise<JWTVerifyGetKey> {
    fetching ??= fetchKeys(url)
      .then((keyOf) => {
        kept = { keyOf, at: clock.monotonic() };
        return keyOf;
      })
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  }

  return async (header, token) => {
    const keyOf = kept && ageMs() < KEPT_MS ? kept.keyOf : await refresh();
    try {
      return await keyOf(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || ageMs() < COOLDOWN_MS) throw error;
      return (await refresh())(header, token);
    }
  };
}

async function fetchKeys(url: string): Promise<JWTVerifyGetKey> {
  const { ok, status, text } = await askOutside(url, {
    limitMs: TIMEOUT_MS,
    limitBytes: LIMIT_BYTES,
    longer: 'refuse',
  });
  if (!ok) throw new Error(`the identity provider answers ${status} where its keys should be`);
  return createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
}
