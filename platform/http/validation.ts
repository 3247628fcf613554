/** Schema checks of requests, and words for what they find. Queries and paths are text and are read as typed; bodies are not. */
import { Ajv, type ErrorObject } from 'ajv';
import formatsPlugin from 'ajv-formats';
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { type ApiError, httpError } from './errors.ts';

const addFormats = formatsPlugin as unknown as (ajv: Ajv) => void;

function checker(coerceTypes: boolean): Ajv {
  const ajv = new Ajv({
    coerceTypes,
    useDefaults: true,
    removeAdditional: false,
    allErrors: true,
    verbose: true,
    strict: false,
  });
  addFormats(ajv);
  return ajv;
}

const text = checker(true);
const json = checker(false);

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) =>
  (httpPart === 'body' ? json : text).compile(schema);

const PART_NAMES: Record<string, string> = {
  querystring: 'query parameter',
  params: 'path parameter',
  headers: 'header',
  body: 'body field',
};

/**
 * A 400 that names each field at fault and what would be right.
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
    message: [...new Set(sentences)].slice(0, 5).join('. ') || `The ${noun} is not as it should be`,
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
  switch (fault.keyword) {
    case 'required':
      return `${subject} is missing`;
    case 'enum':
      return `${subject} must be one of: ${(fault.params.allowedValues as unknown[]).join(', ')}`;
    case 'const':
      return `${subject} must be ${JSON.stringify(fault.params.allowedValue)}`;
    case 'pattern':
    case 'format': {
      const wanted = (fault.parentSchema as { description?: string } | undefined)?.description;
      return `${subject} is not of the right form${wanted ? `: ${wanted}` : ''}`;
    }
    default:
      return `${subject} ${fault.message ?? 'is wrong'}`;
  }
}

const capital = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);
