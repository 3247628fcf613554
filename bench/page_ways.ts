/** What bench/page.ts compares, and what all of it has alike. */

export const WAYS = ['bytes', 'pg', 'pg-text', 'postgres.js', 'postgres.js-named'] as const;
export type Way = (typeof WAYS)[number];

/** Calls on a page; the query asks for one more, to know whether there is a next page. */
export const LIMIT = 100;
/** To the database, for each way and for pgbench. More would only wait for the same processors. */
export const DATABASE_CONNECTIONS = 4;
/** To the HTTP server: its next request is there when it has answered one. */
export const HTTP_CONNECTIONS = 8;
