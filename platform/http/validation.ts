/** Checks requests by their schemas, and words the faults. */
import { Ajv, type ErrorObject } from 'ajv';
import formatsPlugin from 'ajv-formats';
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { type ApiError, httpError } from './errors.ts';

const addFormats = formatsPlugin as unknown as (ajv: Ajv) => void;

const ajv = new Ajv({
  useDefaults: true,
  removeAdditional: false,
  allErrors: true,
  verbose: true,
  strict: false,
});
addFormats(ajv);

type Schema = { readonly properties?: Readonly<Record<string, { readonly type?: unknown }>> };

/** Queries and paths are text. Their numbers and booleans are parsed here, in the only notation that is allowed. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = ajv.compile(schema);
  if (httpPart === 'body') return check;
  const types = Object.entries((schema as Schema).properties ?? {}).flatMap(([name, { type }]) =>
    type === 'integer' || type === 'number' || type === 'boolean' ? [[name, type] as const] : [],
  );
  const validate = (values: Record<string, unknown>) => {
    for (const [name, type] of types) {
      const value = values[name];
      if (typeof value === 'string') values[name] = readTyped(value, type);
    }
    const valid = check(values);
    validate.errors = check.errors ?? null;
    return valid;
  };
  validate.errors = null as ErrorObject[] | null;
  return validate;
};

const DECIMAL = /^-?\d{1,20}(?:\.\d{1,20})?$/;

/** A text in another notation (0x10, 1e3, ' 5', TRUE) stays a text, which the schema then refuses. */
function readTyped(text: string, type: 'integer' | 'number' | 'boolean'): unknown {
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  return DECIMAL.test(text) ? Number(text) : text;
}

const PART_NAMES: Record<string, string> = {
  querystring: 'query parameter',
  params: 'path parameter',
  headers: 'header',
  body: 'body field',
};

/**
 * A 400 that names each wrong field and its right values.
 * @param part where the fault is, as Fastify names it
 */
export function validationError(
  faults: readonly ErrorObject[],
  part: string,
  known: readonly string[],
): ApiError {
  const noun = PART_NAMES[part] ?? part;
  const unknown = faults.filter((f) => f.keyword === 'additionalProperties');
  const sentences = faults
    .filter((f) => f.keyword !== 'additionalProperties' && f.keyword !== 'anyOf' && f.keyword !== 'if')
    .map((f) => describe(f, noun));
  if (unknown.length > 0) {
    const names = unknown.map(
      (f) => `\`${f.instancePath.slice(1)}${f.instancePath ? '/' : ''}${f.params.additionalProperty}\``,
    );
    sentences.unshift(
      `Unknown ${noun}: ${names.join(', ')}${known.length > 0 ? `; known: ${known.join(', ')}` : ''}`,
    );
  }
  const fields = [...new Set(faults.map(fieldOf))].filter((name) => name !== '');
  return httpError('bad_request', {
    message: [...new Set(sentences)].slice(0, 5).join('. ') || `The ${noun} is wrong`,
    fields: { fields },
  });
}

function fieldOf(fault: ErrorObject): string {
  const path = fault.instancePath.slice(1);
  const name = fault.params.missingProperty ?? fault.params.additionalProperty;
  return name === undefined ? path : [path, name].filter(Boolean).join('/');
}

function describe(fault: ErrorObject, noun: string): string {
  const field = fieldOf(fault);
  const subject = field ? `${capital(noun)} \`${field}\`` : `The ${noun === 'body field' ? 'body' : noun}`;
  const more = noun === PART_NAMES.params ? wantedOf(fault) : '';
  switch (fault.keyword) {
    case 'required':
      return `${subject} is missing`;
    case 'enum':
      return `${subject} must be one of: ${(fault.params.allowedValues as unknown[]).join(', ')}`;
    case 'const':
      return `${subject} must be ${JSON.stringify(fault.params.allowedValue)}`;
    case 'type':
      return `${subject} must be ${TYPE_NAMES[fault.params.type as string] ?? fault.params.type}${more}`;
    case 'pattern':
    case 'format':
      return `${subject} is not of the right form${wantedOf(fault)}`;
    default:
      return `${subject} ${fault.message ?? 'is wrong'}${more}`;
  }
}

/** Names of types for people. */
const TYPE_NAMES: Record<string, string> = {
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  string: 'a text',
  array: 'a list',
  object: 'an object',
};

/** The description of the field in the schema, as the end of a sentence. */
function wantedOf(fault: ErrorObject): string {
  const wanted = (fault.parentSchema as { description?: string } | undefined)?.description;
  return wanted ? `: ${wanted}` : '';
}

const capital = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);
