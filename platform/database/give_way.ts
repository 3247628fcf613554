/** How a statement that locks a whole table gives way to requests: it waits briefly, is rolled back and begun again. */

/**
 * How long such a statement waits for a table that is in use. All requests for the table wait behind it, so the wait is short; and
 * shorter than PostgreSQL takes to look for a deadlock (1 s), so that the statement gives way to requests and not they to it.
 */
export const LOCK_TIMEOUT_MS = 800;
/** How often the statement is begun, and the pause before it is begun again. */
export const LOCK_TRIES = 30;
export const LOCK_PAUSE_MS = 1_000;

/** lock_not_available, deadlock_detected */
const GAVE_WAY = ['55P03', '40P01'];

/** Whether an error says that the statement gave way, so that it is worth another try. */
export const hasGivenWay = (error: unknown): boolean =>
  GAVE_WAY.includes((error as { code?: string }).code ?? '');
