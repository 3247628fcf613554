/** What every way out to people has alike. */
import { askOutside, FEW_BYTES } from '#platform/http/outside.ts';
import { splitCredentials } from '../credentials.ts';
import type { Notice } from '../notice.ts';
import type { Severity } from '../words.ts';

export interface Channel {
  readonly name: string;
  /** What is less severe is not sent this way. */
  readonly from: Severity;
  /** Whether it wants a notice of its own for each alert, because it keeps their states apart. */
  readonly perAlert: boolean;
  /** Whether it can say a thing of this kind. */
  takes(notice: Notice): boolean;
  /** @throws DeliveryError, or any other error when nothing was answered */
  send(sending: Sending): Promise<void>;
}

export interface Sending {
  /** The same at each attempt: the other side may tell repeats by it. */
  readonly id: string;
  readonly notice: Notice;
  /** Whether an earlier attempt may have got through without our knowing. */
  readonly mayRepeat: boolean;
  /** Aborted when the attempt has taken too long. */
  readonly signal: AbortSignal;
}

/** The other side did not take it. */
export class DeliveryError extends Error {
  override name = 'DeliveryError';
  /** It would never take this very message: trying again is no use. */
  readonly hopeless: boolean;
  /** The other side asks to wait for so long. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: { hopeless?: boolean; retryAfterMs?: number | undefined } = {}) {
    super(message);
    this.hopeless = details.hopeless ?? false;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The message itself is at fault. Other refusals (401, 404 …) are of the settings, which somebody will mend. */
const HOPELESS_STATUSES = [400, 413, 422];
const QUOTED_CHARACTERS = 200;

/**
 * Posts JSON and wants a 2xx.
 * @throws DeliveryError with the answer's words; the network's error when there was no answer
 */
export async function postJson(
  address: string,
  body: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { url, headers: credentials } = splitCredentials(address);
  const answer = await askOutside(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...credentials, ...headers },
    body,
    signal,
    limitBytes: FEW_BYTES,
    longer: 'cut',
  });
  const words = answer.text.slice(0, QUOTED_CHARACTERS);
  if (answer.ok) return;
  throw new DeliveryError(`answered ${answer.status}: ${words}`, {
    hopeless: HOPELESS_STATUSES.includes(answer.status),
    retryAfterMs: retryAfterMs(answer.headers.get('retry-after')),
  });
}

/** Retry-After in seconds; as a date (RFC 9110 allows both) it is left to the backoff. */
function retryAfterMs(header: string | null): number | undefined {
  return header !== null && /^\d+$/.test(header) ? Number(header) * 1_000 : undefined;
}

/** A link to the runbook where its address is known, else the place in the repository. */
export const runbookAddress = (runbookUrl: string | undefined, anchor: string): string =>
  `${runbookUrl ?? 'docs/RUNBOOK.md'}#${anchor}`;
