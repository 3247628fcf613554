/** Schemas of the routes about imports. */
import { type Static, Type } from 'typebox';
import { answer, text } from '#platform/http/answers.ts';
import { MAX_LIMIT, nullable } from '../../contract.ts';

/** i_import is an integer of PostgreSQL. */
export const LAST_IMPORT = 2_147_483_647;
const DEFAULT_IMPORTS = 100;
const closed = { additionalProperties: false } as const;

export const ImportsQuery = Type.Object(
  {
    source: Type.Optional(text('Only imports of this switch, as it is called in calls.', 200)),
    file: Type.Optional(
      text('Only imports of this file, by its absolute path, and of its retried or mended rows.', 1_000),
    ),
    before: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LAST_IMPORT,
        description: 'Only imports with a smaller number: `next_before` of the page before.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LIMIT,
        default: DEFAULT_IMPORTS,
        description: `Imports on a page: ${DEFAULT_IMPORTS} unless told.`,
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
    file: Type.String({
      description:
        'Absolute path, stdin, the route that took the rows, or `retried rows of …`, `mended rows of …`',
    }),
    format: Type.String(),
    source: Type.String({ description: 'The switch that told of the calls' }),
    started_at: Type.String({ description: 'RFC 3339, UTC' }),
    finished_at: nullable(
      'string',
      'null: it goes on, or was cut off; a switch that posts has one import, which never ends',
    ),
    read: Type.Integer({ description: 'Rows; the sum of the five figures below' }),
    stored: Type.Integer(),
    completed: Type.Integer(),
    duplicates: Type.Integer(),
    conflicts: Type.Integer(),
    set_aside: Type.Integer(),
    waiting: Type.Integer({
      description: 'Of conflicts and set_aside: rows that were neither taken in since nor discarded',
    }),
    erased: Type.Integer({ description: 'Calls that it stored, and that were erased with their accounts' }),
    told_to: nullable('string', 'The end of the last call that it told'),
    undo_began_at: nullable('string', 'Since when it is being taken back'),
    undone_at: nullable('string', 'When all of it was taken back'),
    options: Type.Record(Type.String(), Type.Unknown(), {
      description: 'How its rows were read: time zone, date order, mapping and so on',
    }),
  },
  { title: 'Import' },
);

export const ImportsAnswer = answer(Type.Array(Import), {
  next_before: Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    description: '`before` of the next page; null: this was the last',
  }),
});
export const ImportAnswer = answer(Import);

export const UndoBody = Type.Object(
  {
    dry_run: Type.Boolean({
      description: 'true: say what would be taken back, and change nothing. false: take it back',
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
          'All of it is taken back. false after a request that was no dry run: some is left; ask again',
      }),
      calls_removed: count('Calls that it alone had told'),
      calls_kept: count(
        'Calls that it had stored and others have told too: they stay as those have told them',
      ),
      kept_by: Type.Array(Type.Integer(), {
        description: 'Imports that told those, too: the calls are as these read them. 20 at most',
      }),
      calls_restored: count(
        "Others' calls that it had completed or replaced: they have their former values again",
      ),
      rows_removed: count('Rows that it had set aside'),
      rows_returned: count('Rows that it had taken in after another had set them aside: they wait again'),
    },
    { title: 'Undo', description: 'What would be taken back in all, or was since it began' },
  ),
);
