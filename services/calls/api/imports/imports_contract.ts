/** Schemas of the imports routes. */
import { type Static, Type } from 'typebox';
import { answer, text } from '#platform/http/answers.ts';
import { MAX_LIMIT, nullable } from '../../contract.ts';
import { IMPORT_STATES } from '../../store/imports.ts';

/** i_import is an integer of PostgreSQL. */
export const LAST_IMPORT = 2_147_483_647;
const DEFAULT_IMPORTS = 100;
const closed = { additionalProperties: false } as const;

export const ImportsQuery = Type.Object(
  {
    source: Type.Optional(text('Only imports of this switch, by its name in `source` of calls.', 200)),
    file: Type.Optional(
      text('Only imports of this file, by its absolute path, and of its retried or mended rows.', 1_000),
    ),
    before: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LAST_IMPORT,
        description: 'Only imports with a smaller number: `next_before` of the previous page.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LIMIT,
        default: DEFAULT_IMPORTS,
        description: `Imports on a page: ${DEFAULT_IMPORTS} by default.`,
      }),
    ),
  },
  closed,
);
export type ImportsQuery = Static<typeof ImportsQuery>;

export const ImportParams = Type.Object({
  i_import: Type.Integer({ minimum: 1, maximum: LAST_IMPORT, description: 'Number of the import' }),
});

export const Import = Type.Object(
  {
    i_import: Type.Integer(),
    state: Type.Enum([...IMPORT_STATES], {
      description:
        '`open`: it is running, or a switch posts; `interrupted`: its process ended before the import did, or the import failed: import the file again, or undo it',
    }),
    file: Type.String({
      description:
        'Absolute path, stdin, the route that took the rows, or `retried rows of …`, `mended rows of …`',
    }),
    format: Type.String(),
    source: Type.String({ description: 'The switch that reported the calls' }),
    started_at: Type.String({ description: 'RFC 3339, UTC' }),
    finished_at: nullable(
      'string',
      'null: see `state`; a switch that posts has one import, which never ends',
    ),
    read: Type.Integer({ description: 'Rows; the sum of the five figures below' }),
    stored: Type.Integer(),
    completed: Type.Integer(),
    duplicates: Type.Integer(),
    conflicts: Type.Integer(),
    set_aside: Type.Integer(),
    waiting: Type.Integer({
      description: 'Of conflicts and set_aside: rows that were neither imported since nor discarded',
    }),
    erased: Type.Integer({ description: 'Calls that it stored, and that were erased with their accounts' }),
    told_to: nullable('string', 'The end of the last call that it reported'),
    undo_began_at: nullable('string', 'When its undo began'),
    undone_at: nullable('string', 'When its undo was complete'),
    options: Type.Record(Type.String(), Type.Unknown(), {
      description: 'The options for its rows: time zone, date order, mapping and so on',
    }),
  },
  { title: 'Import' },
);

export const ImportsAnswer = answer(Type.Array(Import), {
  next_before: Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    description: '`before` of the next page; null: this was the last page',
  }),
});
export const ImportAnswer = answer(Import);

export const UndoBody = Type.Object(
  {
    dry_run: Type.Boolean({
      description: 'true: report the effects, and change nothing. false: undo the import',
    }),
  },
  closed,
);

const count = (description: string) => Type.Integer({ description });
export const UndoAnswer = answer(
  Type.Object(
    {
      i_import: Type.Integer(),
      done: Type.Boolean({
        description:
          'The undo is complete. false after a request that was no dry run: a part is left; repeat the request',
      }),
      calls_removed: count('Calls that no other import has'),
      calls_kept: count(
        'Calls that it had stored and other imports have too: they stay with the values of those imports',
      ),
      kept_by: Type.Array(Type.Integer(), {
        description:
          'Imports that have those calls too: the calls have the values of these imports. 20 at most',
      }),
      calls_restored: count(
        "Others' calls that it had completed or replaced: they get their former values back",
      ),
      rows_removed: count('Rows that it had rejected'),
      rows_returned: count(
        'Rows that it had imported after another import had rejected them: they wait again',
      ),
    },
    { title: 'Undo', description: 'The effects of the whole undo, or its progress since it began' },
  ),
);
