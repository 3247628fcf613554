import assert from 'node:assert/strict';
import { hostname, userInfo } from 'node:os';
import { test } from 'node:test';
import { terminalActor } from './terminal_actor.ts';

const { username } = userInfo();

test('the actor of a command is the user of the terminal, and the caller of sudo', () => {
  const id = `terminal:${username}`;
  assert.deepEqual(terminalActor({}), { id, name: `${username} on ${hostname()}` });
  assert.deepEqual(terminalActor({ SUDO_USER: 'anna' }), {
    id,
    name: `anna as ${username} on ${hostname()}`,
  });
  assert.deepEqual(terminalActor({ SUDO_USER: username }), terminalActor({}));
});
