import {z} from 'zod';
import {MOST_TOKENS, type TokenRow, type TokenTable} from '@pisync/core/tokens/token-table';
import {AppError} from '@pisync/core/errors/app-error';
import {MAX_NAME_LENGTH, tokenNameFault} from '@pisync/core/tokens/token-name';
import {actorOf} from '../audit/actor.ts';
import {badMember, storableText} from '../http/parse.ts';
import {route, type Route} from '../http/route.ts';
import type {Cursors} from '../paging/cursors.ts';
import {chosen, fieldsQuery, parseFields} from '../paging/fields.ts';
import {givenTime, pageOf, pageQuery, timestamp} from '../paging/page-schema.ts';
import type {Principal} from '../sessions/principal.ts';

/** What tokens of both kinds have in common: how they are shown, listed and revoked. */

/** Shown of every token. */
export const tokenFields = {
  id: z.uuid(),
  name: z.string(),
  createdAt: timestamp,
  createdBy: z.string().describe('Name of the API token with which it was made.'),
  expiresAt: timestamp.nullable(),
  revokedAt: timestamp.nullable(),
} as const;

/** A row's times as they are shown. */
export const timesOf = ({createdAt, expiresAt, revokedAt}: TokenRow) => ({
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt?.toISOString() ?? null,
  revokedAt: revokedAt?.toISOString() ?? null,
});

/** Said of every token that is to be made. */
export const newTokenFields = {
  name: storableText
    .trim()
    .min(1)
    .max(MAX_NAME_LENGTH)
    .superRefine((name, context) => {
      const fault = tokenNameFault(name);
      if (fault !== undefined) context.addIssue(fault);
    })
    .describe('By which people know it: of characters that are seen, and not `bootstrap`.'),
  expiresAt: givenTime
    .nullable()
    .default(null)
    .describe('From then on it does not work; null: it works as long as the token that makes it.'),
} as const;

/** Nobody makes a token that lasts longer than his own. @throws AppError `bad-request` for such a time, and one that is over. */
export const expiryOf = (expiresAt: string | null, own: Date | null, nowMs: number): Date | null => {
  if (expiresAt === null) return own;
  const at = new Date(expiresAt);
  if (at.getTime() <= nowMs) throw badMember('/expiresAt', 'is over');
  if (own === null || at <= own) return at;
  throw badMember('/expiresAt', `is later than ${own.toISOString()}, when your own token expires`);
};

/** What is kept of who makes a token. */
export const creatorOf = ({name, rootId}: Principal) => ({createdBy: name, rootId});

/** @throws AppError `conflict` where the token was made by the same call before, or there are too many. */
export const madeBy = <Row extends TokenRow>(id: string, row: Row | undefined): Row => {
  if (row === undefined) {
    throw new AppError(
      'conflict',
      `There are ${MOST_TOKENS.family} tokens of yours and of those that yours has made, or ${MOST_TOKENS.region} in the region. ` +
        `Revoke what nobody needs; those that were made within a day count until then.`,
    );
  }
  if (row.id === id) return row;
  throw new AppError(
    'conflict',
    `The token ${row.id} was made by a call with this Idempotency-Key. It is not shown again; revoke it if it was lost.`,
    {extra: {id: row.id}},
  );
};

interface TokenRoutesOptions<Row, Shown extends z.ZodObject> {
  readonly path: `/api/v1/${string}`;
  /** As operation ids have it: `ApiToken`. */
  readonly name: string;
  /** As people say it: `API token`. */
  readonly noun: string;
  readonly table: Pick<TokenTable<Row & TokenRow, never>, 'list' | 'find' | 'revoke'>;
  readonly shown: Shown;
  readonly show: (row: Row) => z.input<Shown>;
  readonly cursors: Cursors;
  readonly now: () => number;
}

const params = z.strictObject({id: z.uuid()});
const placeSchema = z.uuid();

/** List, one, and revoke. */
export const tokenRoutes = <Row extends TokenRow, Shown extends z.ZodObject>(
  options: TokenRoutesOptions<Row, Shown>,
): readonly Route[] => {
  const {path, name, noun, table, shown, show, cursors, now} = options;
  const known = shown.keyof().options.map(String);
  const unknown = (id: string): AppError => new AppError('not-found', `There is no ${noun} ${id}.`);
  const problems = {404: `No such ${noun}.`};
  return [
    route(
      {
        method: 'get',
        path,
        operationId: `list${name}s`,
        summary: `The ${noun}s, newest first.`,
        access: 'audit',
        query: z.strictObject({...pageQuery, fields: fieldsQuery(known)}),
        success: {status: 200, description: 'A page.', schema: pageOf(shown.partial().required({id: true}))},
      },
      async ({query: {cursor, limit, ...query}, principal: {scope}}) => {
        const fields = parseFields(query.fields, known, known);
        const list = `${path} ${JSON.stringify(scope ?? null)}`;
        const before = cursor === undefined ? undefined : await cursors.open(list, placeSchema, cursor);
        const asOf = new Date(now()).toISOString();
        const rows = await table.list(scope, {before, limit: limit + 1});
        const [page, hasNextPage] = [rows.slice(0, limit), rows.length > limit];
        const last = page.at(-1)?.id;
        return {
          body: {
            data: page.map((row) => chosen(show(row), fields)),
            hasNextPage,
            nextCursor: hasNextPage && last !== undefined ? await cursors.seal(list, last) : null,
            asOf,
          },
        };
      },
    ),
    route(
      {
        method: 'get',
        path: `${path}/{id}`,
        operationId: `get${name}`,
        summary: `One ${noun}.`,
        access: 'audit',
        params,
        success: {
          status: 200,
          description: 'What is known of it; the token itself is nowhere.',
          schema: z.object({data: shown}),
        },
        problems,
      },
      async ({params: {id}, principal}) => {
        const row = await table.find(principal.scope, id);
        if (row === undefined) throw unknown(id);
        return {body: {data: show(row)}};
      },
    ),
    route(
      {
        method: 'delete',
        path: `${path}/{id}`,
        operationId: `revoke${name}`,
        summary: `Revoke an ${noun}.`,
        access: 'administer',
        params,
        success: {
          status: 204,
          description: 'It is revoked, within five seconds for every process. Its row stays for 30 days.',
        },
        problems,
      },
      async ({params: {id}, principal, origin}) => {
        if (!(await table.revoke(principal.scope, id, actorOf(principal, origin)))) throw unknown(id);
        return {body: undefined};
      },
    ),
  ];
};
