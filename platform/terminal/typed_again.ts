/** An irreversible command is confirmed at the terminal: the user types the name of its subject. */
import { createInterface } from 'node:readline/promises';

/** @returns `nobody` where there is no terminal to ask at */
export async function typedAgain(word: string, question: string): Promise<'typed' | 'other' | 'nobody'> {
  if (!process.stdin.isTTY) return 'nobody';
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await asking.question(question).finally(() => asking.close());
  return typed.trim() === word.trim() ? 'typed' : 'other';
}
