/** Results of `trunkline drill all` so far, a file for each part in the tier's folder: the next run goes on there. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { saysAbsent } from '#engines/processes.ts';
import { readOwnFile } from '#platform/lifecycle/own_files.ts';
import type { PartReport } from './part_drill.ts';

/** Folder of results, and of the services that run for a drill. */
export const drillsFolder = (data: string): string => join(resolve(data), 'drills');
const resultsFolder = (data: string): string => join(drillsFolder(data), 'results');
const fileOf = (data: string, drill: string): string => join(resultsFolder(data), `${drill}.json`);

/** Replaces the file as a whole, so that an interrupted run leaves no half of it. */
export async function keepResult(data: string, report: PartReport): Promise<void> {
  await mkdir(resultsFolder(data), { recursive: true, mode: 0o700 });
  const file = fileOf(data, report.drill);
  await writeFile(`${file}.new`, `${JSON.stringify(report, null, 1)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Results by the names of the drills. */
export async function keptResults(data: string): Promise<Map<string, PartReport>> {
  const names = await readdir(resultsFolder(data)).catch((error) => {
    if (saysAbsent(error)) return [];
    throw error;
  });
  const kept = new Map<string, PartReport>();
  for (const name of names.filter((one) => one.endsWith('.json'))) {
    const report = JSON.parse(await readOwnFile(join(resultsFolder(data), name))) as PartReport;
    kept.set(report.drill, report);
  }
  return kept;
}

export async function forgetResults(data: string, drills: readonly string[]): Promise<void> {
  for (const drill of drills) await rm(fileOf(data, drill), { force: true });
}
