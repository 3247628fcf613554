/** Schemas of the route about accounts. */
import { type Static, Type } from 'typebox';
import { answer } from '#platform/http/answers.ts';
import { MAX_LIMIT, nullable } from '../../contract.ts';

const integerOrNull = (description: string) =>
  Type.Unsafe<number | null>({ type: ['integer', 'null'], description });

export const AccountsQuery = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        default: 0,
        description: 'Only accounts with a greater number: `next_after` of the page before.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LIMIT,
        default: MAX_LIMIT,
        description: `Accounts on a page: ${MAX_LIMIT} unless told.`,
      }),
    ),
  },
  { additionalProperties: false },
);
export type AccountsQuery = Static<typeof AccountsQuery>;

export const Account = Type.Object(
  {
    i_account: Type.Integer({ description: 'Its number, as other routes take it' }),
    code: Type.String({ description: 'What the switch calls it' }),
    name: Type.String({ description: 'For people' }),
    i_parent: integerOrNull('The account that it stands below; null: it is the top of what the key sees'),
    currency: Type.String({ description: 'ISO 4217, of calls that name none' }),
    time_zone: Type.String({ description: 'IANA name: by its clocks the days of consumption are' }),
    country: nullable('string', 'ISO 3166-1 alpha-2, whose national numbers it dials; null: not known'),
    seen: Type.Unsafe<{ from: string | null; to: string | null }[] | null>({
      type: ['array', 'null'],
      items: Type.Object({
        from: nullable('string', 'RFC 3339; null: since ever'),
        to: nullable('string', 'Not included; null: for good'),
      }),
      description:
        'Of an account that was moved to or from another parent: when it was below one that the key sees, by the start of its calls. null: always',
    }),
    closed_from: nullable('string', 'From when on it is closed, RFC 3339; null: open'),
  },
  { title: 'Account' },
);

export const AccountsAnswer = answer(Type.Array(Account), {
  next_after: integerOrNull('`after` of the next page; null: this was the last'),
});
