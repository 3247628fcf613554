/**
 * Headers by which browsers keep an answer from being used for anything else: not guessed to be a page, not shown in a
 * frame, not kept. Whether only HTTPS is to be used (HSTS) is for the proxy to say that speaks it.
 */

export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** What the page at /docs may do: run its own scripts, ask this service. Swagger UI styles its elements in place. */
export const DOCS_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
