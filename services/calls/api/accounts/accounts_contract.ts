/** Schemas of the accounts route. */
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
        description: 'Only accounts with a greater number: `next_after` of the previous page.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LIMIT,
        default: MAX_LIMIT,
        description: `Accounts on a page: ${MAX_LIMIT} by default.`,
      }),
    ),
  },
  { additionalProperties: false },
);
export type AccountsQuery = Static<typeof AccountsQuery>;

export const Account = Type.Object(
  {
    i_account: Type.Integer({ description: 'Its number, for other routes' }),
    code: Type.String({ description: 'Its account code, as the switch writes it' }),
    name: Type.String({ description: 'For people' }),
    i_parent: integerOrNull('Its parent account; null: it is the top account that is visible to the key'),
    currency: Type.String({ description: 'ISO 4217, for calls that name none' }),
    time_zone: Type.String({ description: 'IANA name of the zone for the days of consumption' }),
    country: nullable(
      'string',
      'ISO 3166-1 alpha-2 code of the country whose national numbers it dials; null: unknown',
    ),
    seen: Type.Unsafe<{ from: string | null; to: string | null }[] | null>({
      type: ['array', 'null'],
      items: Type.Object({
        from: nullable('string', 'RFC 3339; null: since ever'),
        to: nullable('string', 'Not included; null: no end'),
      }),
      description:
        'For an account that was moved to another parent: the times, by the start of its calls, at which it was below an account that is visible to the key. null: always',
    }),
    closed_from: nullable('string', 'The time from which it is closed, RFC 3339; null: open'),
  },
  { title: 'Account' },
);

export const AccountsAnswer = answer(Type.Array(Account), {
  next_after: integerOrNull('`after` of the next page; null: this was the last page'),
});
