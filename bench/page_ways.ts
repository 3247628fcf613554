/** What bench/page.ts compares, and what all of it has alike. */

export const PEERS = [
  'bytes',
  'bytes-named',
  'pg',
  'pg-text',
  'pg-whole',
  'postgres.js',
  'postgres.js-named',
] as const;
/** Served by bench/page_server.ts. */
export type Peer = (typeof PEERS)[number];
/** The program itself is the first. */
export const WAYS = ['trunkline', ...PEERS] as const;

/** Calls on a page; the query asks for one more, to know whether there is a next page. */
export const LIMIT = 100;
/** To the database, for each way and for pgbench. More would only wait for the same processors. */
export const DATABASE_CONNECTIONS = 10;
/** To the HTTP server: its next request is there when it has answered one. */
export const HTTP_CONNECTIONS = 16;
