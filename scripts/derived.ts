/**
 * Writes what is derived from the list of services, and from the rules of the monitor: node scripts/derived.ts
 *
 *   docs/CONFIGURATION.md                     every setting
 *   infrastructure/monitoring/rules.yml       the monitor's rules, for Prometheus
 *   infrastructure/monitoring/prometheus.yml  the services that are scraped (between its marks)
 *   compose.yaml                              the ports that are opened (between its marks)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { derivedFiles } from './derived_files.ts';

for (const [file, text] of Object.entries(derivedFiles((path) => readFileSync(path, 'utf8'))))
  writeFileSync(file, text);
