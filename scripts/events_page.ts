/** docs/EVENTS.md: every topic of the services, from their definitions. */
import type { TSchema } from 'typebox';
import { type AnyService, tabledOf } from '#platform/service/definition.ts';

/** A field of a body: where it stands, its type, what it is. */
interface Field {
  readonly path: string;
  readonly type: string;
  readonly description: string;
}

interface BodySchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, BodySchema>>;
  readonly items?: BodySchema;
}

export function eventsPage(services: readonly AnyService[]): string {
  const tabled = tabledOf(services);
  const published = tabled
    .flatMap(({ name, publishes = [] }) => publishes.map((topic) => ({ by: name, topic })))
    .toSorted((a, b) => (a.topic.name < b.topic.name ? -1 : 1));
  const consumersOf = (name: string) =>
    tabled.flatMap(({ consumes = [] }) =>
      consumes.flatMap((one) => (one.topics.some((topic) => topic.name === name) ? `\`${one.name}\`` : [])),
    );
  const rows = published.map(({ by, topic: { name, kind, version } }) => {
    return `| [\`${name}\`](#${name.replaceAll('.', '')}) | ${kind} | ${version} | ${by} | ${consumersOf(name).join(', ')} |`;
  });
  const sections = published.map(({ topic: { name, purpose, body } }) => {
    const fields = fieldsOf(body as TSchema as BodySchema).map(
      ({ path, type, description }) => `| \`${path}\` | ${type} | ${description} |`,
    );
    return `### ${name}\n\n${purpose}\n\n| Field | Type | Meaning |\n|---|---|---|\n${fields.join('\n')}\n`;
  });
  return `# Events

What services tell each other, and hand each other. A message is written in the transaction of the change that it tells of, and is
delivered at least once, in order by its key ([platform/messaging](../platform/messaging/README.md)). A version counts changes of the
body that a consumer of the version before can't read. Each service serves its own part as an AsyncAPI 3 document at \`/asyncapi.json\`.

| Topic | Kind | Version | Published by | Consumed by |
|---|---|---|---|---|
${rows.join('\n')}

${sections.join('\n')}`;
}

function fieldsOf({ properties = {} }: BodySchema, above = ''): Field[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = `${above}${name}`;
    const field = { path, type: typeOf(schema), description: schema.description ?? '' };
    return [field, ...fieldsOf(schema, `${path}.`)];
  });
}

function typeOf({ type = 'any', items }: BodySchema): string {
  if (items) return `array of ${typeOf(items)}`;
  return [type].flat().join(' or ');
}
