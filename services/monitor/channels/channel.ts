/** The common parts of all channels. */
import { askOutside, FEW_BYTES } from '#platform/http/outside.ts';
import { splitCredentials } from '../credentials.ts';
import type { Notice } from '../notice.ts';
import type { Severity } from '../words.ts';

export interface Channel {
  readonly name: string;
  /** The least severity that this channel sends. */
  readonly from: Severity;
  /** Whether it needs a notice of its own for each alert, because it keeps their states separate. */
  readonly perAlert: boolean;
  /** Whether it sends notices of this kind. */
  takes(notice: Notice): boolean;
  /** @throws DeliveryError, or any other error if there was no answer */
  send(sending: Sending): Promise<void>;
}

export interface Sending {
  /** The same at each attempt: the receiver may recognize repeats by it. */
  readonly id: string;
  readonly notice: Notice;
  /** Whether an earlier attempt may have succeeded without an answer. */
  readonly mayRepeat: boolean;
  /** Aborts when the attempt takes too long. */
  readonly signal: AbortSignal;
}

/** The receiver refused the message. */
export class DeliveryError extends Error {
  override name = 'DeliveryError';
  /** The receiver would never accept this message: a retry is useless. */
  readonly permanent: boolean;
  /** The pause that the receiver asks for. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: { permanent?: boolean; retryAfterMs?: number | undefined } = {}) {
    super(message);
    this.permanent = details.permanent ?? false;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Statuses that mean a malformed message. Other refusals (401, 404 …) come from wrong settings, which can be mended. */
const PERMANENT_STATUSES = [400, 413, 422];
const QUOTED_CHARACTERS = 200;

/**
 * Posts JSON and expects a 2xx.
 * @throws DeliveryError with the answer's words; the network's error if there was no answer
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
    permanent: PERMANENT_STATUSES.includes(answer.status),
    retryAfterMs: retryAfterMs(answer.headers.get('retry-after')),
  });
}

/** Retry-After in seconds; as a date (RFC 9110 allows both) it is left to the backoff. */
function retryAfterMs(header: string | null): number | undefined {
  return header !== null && /^\d+$/.test(header) ? Number(header) * 1_000 : undefined;
}

/** A link to the runbook if its address is known, else the path in the repository. */
export const runbookAddress = (runbookUrl: string | undefined, anchor: string): string =>
  `${runbookUrl ?? 'docs/RUNBOOK.md'}#${anchor}`;
