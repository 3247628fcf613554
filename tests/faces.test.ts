/**
 * Advice fits who reads it. What a service answers by HTTP speaks of query parameters and fields, a command of options: the
 * one has no command line, the other no query. Reasons of rows are written for the command line, and translated in answers
 * (services/calls/api/posts/advice.ts).
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { adviceForPost } from '#services/calls/api/posts/advice.ts';

const COMMAND = /(?:^|[\s(,;`])--[a-z][a-z-]+|\btrunkline [a-z]/;
const QUERY = /(?:^|[\s(`])\?[a-z]+_[a-z_]+=|[\s(`]\?[a-z]+=|query parameter/i;

const HTTP =
  /^services\/[^/]+\/(?:api\/|(?:contract|errors|routes|auth)\.ts)|^platform\/(?:http|access|service)\//;
const TERMINAL = /^(?:cli\/|services\/[^/]+\/commands\/|platform\/terminal\/)/;
/** One translates from one face into the other; one speaks at the program's start. */
const NEITHER = ['services/calls/api/posts/advice.ts', 'platform/service/backups.ts'];

/** Each text that stands in a file, as it stands there; an inner `${…}` is some text. */
function textsOf(file: string): string[] {
  const code = readFileSync(file, 'utf8');
  const found: string[] = [];
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\$]|\\.|\$(?!\{)|\$\{(?:[^{}`]|`[^`]*`|\{[^{}]*\})*\})*)`/g;
  for (const [, single, double, template] of code.matchAll(token)) {
    const text = single ?? double ?? template?.replaceAll(/\$\{(?:[^{}`]|`[^`]*`|\{[^{}]*\})*\}/g, 'x');
    if (text !== undefined) found.push(text);
  }
  return found;
}

interface Said {
  readonly file: string;
  readonly text: string;
}

const said: Said[] = globSync('{cli,platform,services}/**/*.ts')
  .filter((file) => !file.endsWith('.test.ts') && !NEITHER.includes(file))
  .flatMap((file) => textsOf(file).map((text) => ({ file, text })));
const shown = (all: readonly Said[]) => all.map(({ file, text }) => `${file}: ${text}`);

test('no text of an answer by HTTP speaks of a command or its options', () => {
  const http = said.filter(({ file }) => HTTP.test(file));
  assert.ok(http.length > 500, String(http.length));
  assert.deepEqual(shown(http.filter(({ text }) => COMMAND.test(text))), []);
});

test('no text of a command speaks of query parameters', () => {
  const terminal = said.filter(({ file }) => TERMINAL.test(file));
  assert.ok(terminal.length > 500, String(terminal.length));
  assert.deepEqual(shown(terminal.filter(({ text }) => QUERY.test(text))), []);
});

test('a reason that both may show speaks of options, and of none once it stands in an answer', () => {
  const both = said.filter(
    ({ file }) => file.startsWith('services/') && !HTTP.test(file) && !TERMINAL.test(file),
  );
  assert.deepEqual(shown(both.filter(({ text }) => QUERY.test(text))), []);
  const advising = both.filter(({ text }) => COMMAND.test(text));
  assert.ok(advising.length > 5, String(advising.length));
  assert.deepEqual(shown(advising.filter(({ text }) => COMMAND.test(adviceForPost(text)))), []);
});

test('the two kinds of advice are told from each other', () => {
  for (const text of ['or use --create-accounts', '`--xy`', 'see trunkline keys list'])
    assert.match(text, COMMAND);
  for (const text of ['or ?credits=true', 'Query parameter `x`']) assert.match(text, QUERY);
  for (const text of ['a -- b', 'the file of trunkline', 'why? x=1']) {
    assert.doesNotMatch(text, COMMAND);
    assert.doesNotMatch(text, QUERY);
  }
});
