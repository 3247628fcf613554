/** Debian's Chromium, driven from a test. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

const PROGRAM = '/usr/bin/chromium';

/** Why a test without Chromium is skipped; false where it is here. */
export const noChromium: string | false = await access(PROGRAM, constants.X_OK).then(
  () => false as const,
  () => 'Chromium is not installed (scripts/engines browser)',
);

/**
 * Starts Chromium without a window.
 * @param hosts which ports of 127.0.0.1 answer for host names, whatever port a page asks for
 */
export function openChromium(hosts: Readonly<Record<string, number>>): Promise<Browser> {
  const rules = Object.entries(hosts).map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`);
  return chromium.launch({
    executablePath: PROGRAM,
    // Root has no sandbox to give; the pages are the test's own. What is not mapped leads nowhere.
    args: ['--no-sandbox', `--host-resolver-rules=${[...rules, 'MAP * ~NOTFOUND'].join(',')}`],
  });
}
