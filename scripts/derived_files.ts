/** Files of the repository that are derived from the code; tests/tidy.test.ts checks that they are up to date. */
import { documentedSettings } from '#config';
import { runningOf } from '#platform/service/definition.ts';
import { rightsDocument } from '#services/identity/rights.ts';
import { prometheusRules } from '#services/monitor/prometheus_rules.ts';
import { RULES } from '#services/monitor/rules.ts';
import { SERVICES } from '#system';
import { eventsPage } from './events_page.ts';

const BEGIN = '# services: derived by scripts/derived.ts';
const END = '# services: end';

/**
 * The texts of all derived files, by their paths from the repository's root.
 * @param read the present text of a file: its text outside of the marks stays
 */
export function derivedFiles(read: (path: string) => string): Record<string, string> {
  const services = runningOf(SERVICES);
  const between = (path: string, lines: readonly string[]) => putBetween(path, read(path), lines);
  const prometheus = 'infrastructure/monitoring/prometheus.yml';
  return {
    'docs/CONFIGURATION.md': configuration(),
    'docs/EVENTS.md': eventsPage(SERVICES),
    'docs/RIGHTS.md': rightsDocument(),
    'infrastructure/monitoring/rules.yml': prometheusRules(RULES),
    [prometheus]: between(
      prometheus,
      services.flatMap(({ name, port }) => [
        `- targets: ['127.0.0.1:${port}']`,
        `  labels: {service: ${name}}`,
      ]),
    ),
    'compose.yaml': between(
      'compose.yaml',
      services.map(({ name, port }) => `- "127.0.0.1:${port}:${port}" # ${name}`),
    ),
  };
}

/** Puts lines between the marks of a YAML file, with the indentation of the marks. */
function putBetween(path: string, text: string, lines: readonly string[]): string {
  const found = new RegExp(`^( *)${BEGIN}\\n[^]*?^ *${END}$`, 'm').exec(text);
  if (!found) throw new Error(`${path} has no lines "${BEGIN}" and "${END}"`);
  const marked = [BEGIN, ...lines, END].map((line) => found[1] + line).join('\n');
  return text.replace(found[0], () => marked);
}

function configuration(): string {
  const rows = documentedSettings(SERVICES).map(
    ({ name, standard, what }) => `| \`${name}\` | ${standard ? `\`${standard}\`` : ''} | ${what} |`,
  );
  return `# Configuration

Settings are environment variables, read once at the start. All faults are reported together, each with the right form. The
faults include settings that are useless without others, and unknown variables that begin with a service's name. An empty
variable counts as unset. \`trunkline doctor\` checks the settings without starting anything.

| Setting | Default | Purpose |
|---|---|---|
${rows.join('\n')}
`;
}
