/** Configuration templates: `${NAME}` stands for a value; nothing else is special. */

const PLACEHOLDER = /\$\{([A-Z][A-Z0-9_]*)\}/g;

/**
 * Fills in a template.
 * @throws Error for a name without a value, so that a misspelt name is found when the file is made
 */
export function fillIn(
  template: string,
  values: Readonly<Record<string, string | number | boolean>>,
): string {
  return template.replace(PLACEHOLDER, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the template has \${${name}}, which has no value`);
    return String(value);
  });
}

/** The names in a template, each once. */
export function placeholdersOf(template: string): string[] {
  return [...new Set([...template.matchAll(PLACEHOLDER)].map((match) => match[1]!))];
}
