/** Writes docs/CONFIGURATION.md from config.ts: node scripts/configuration.ts > docs/CONFIGURATION.md */
import { SETTINGS } from '#config';

const rows = Object.entries(SETTINGS).map(
  ([name, { standard, what }]) => `| \`${name}\` | ${standard ? `\`${standard}\`` : ''} | ${what} |`,
);

process.stdout.write(`# Configuration

Settings are environment variables, read once at the start. All faults are reported together, each with what would be
right. An empty variable counts as one that is not set. \`trunkline doctor\` checks them without starting anything.

| Setting | Standard | What it is |
|---|---|---|
${rows.join('\n')}
`);
