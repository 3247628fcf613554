/**
 * The keys of an identity provider (RFC 7517). They are fetched when needed and cached for ten minutes. If a token names an
 * unknown key, they are fetched again, but at most once in half a minute: tokens with unknown keys cost nothing.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { askOutside } from '#platform/http/outside.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';

const TIMEOUT_MS = 5_000;
const LIMIT_BYTES = 256 * 1024;
export const KEPT_MS = 600_000;
export const COOLDOWN_MS = 30_000;

/** @returns a function that finds a token's key; it rejects with jose's errors, or the error of fetching the keys */
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
  if (!ok) throw new Error(`the identity provider answered ${status} to the request for its keys`);
  return createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
}
