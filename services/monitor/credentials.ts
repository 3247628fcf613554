/**
 * Addresses with a user and password in them, as HAProxy's `stats auth` and many webhooks want it. `fetch` refuses such
 * an address with an error that repeats it whole, into the log and the API; so they go into a header.
 */

export interface Request {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The address without user and password, and the header (Basic) that brings them. */
export function splitCredentials(address: string): Request {
  const url = new URL(address);
  if (url.username === '' && url.password === '') return { url: address, headers: {} };
  const [user, password] = [url.username, url.password].map((part) => decodeURIComponent(part));
  url.username = '';
  url.password = '';
  const given = Buffer.from(`${user}:${password}`).toString('base64');
  return { url: url.href, headers: { authorization: `Basic ${given}` } };
}
