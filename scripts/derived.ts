/**
 * Writes the files derived from the list of services and from the rules of the monitor: node scripts/derived.ts
 *
 *   docs/CONFIGURATION.md                     every setting
 *   docs/EVENTS.md                            what services tell each other
 *   docs/RIGHTS.md                            who may do what
 *   infrastructure/monitoring/rules.yml       the monitor's rules, for Prometheus
 *   infrastructure/monitoring/prometheus.yml  the services that Prometheus scrapes (between its marks)
 *   compose.yaml                              the published ports (between its marks)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { derivedFiles } from './derived_files.ts';

for (const [file, text] of Object.entries(derivedFiles((path) => readFileSync(path, 'utf8'))))
  writeFileSync(file, text);
