import {z} from 'zod';
import {headText, NO_MAC, parseHead} from '@pisync/core/audit/audit-row';
import {readChain, readOutboxState} from '@pisync/core/audit/read-chain';
import {type AuditFinding, checkEnd, checkOutbox, checkRows} from '@pisync/core/audit/verify-chain';
import {AppError} from '@pisync/core/errors/app-error';
import type {Shards} from '@pisync/core/shards/shards';
import {route, type Route} from '../http/route.ts';
import type {Cursors} from '../paging/cursors.ts';
import {type AskShards, shardNames} from '../paging/fan-out.ts';
import {inWords} from './finding-words.ts';

export interface VerifyOptions {
  readonly shards: Shards;
  readonly askShards: AskShards;
  readonly cursors: Cursors;
  /** What the chain is signed with; read at each use. */
  readonly readAuditKey: () => Promise<string>;
}

/** Rows of one call: a tenth of a second. */
const PAGE = 2_000;
/** More say nothing more. */
const MOST_FINDINGS = 100;

const PATH = '/api/v1/audit/verify';

const placeSchema = z.object({
  seq: z.int(),
  mac: z.string(),
  counters: z.array(z.tuple([z.int(), z.int()])),
});

const findingSchema = z.object({
  kind: z.enum(['changed', 'removed', 'cut', 'replaced', 'head', 'missing', 'set-back']),
  detail: z.string().describe('A sentence for people.'),
  fromSeq: z.int().optional().describe('Places in the chain.'),
  toSeq: z.int().optional(),
  shard: z.int().optional(),
  fromCounter: z.int().optional().describe('As that shard counts its entries.'),
  toCounter: z.int().optional(),
});

const resultSchema = z.object({
  checked: z.object({fromSeq: z.int(), toSeq: z.int()}).nullable().describe('Rows of this call; null: there was none.'),
  findings: z.array(findingSchema).describe('Of this call. None in any call: the audit is whole.'),
  moreFindings: z.boolean().describe(`Whether there are more than ${MOST_FINDINGS} in this call.`),
  head: z.string().describe('How far the chain was followed. Keep it elsewhere, and give it back another time.'),
  nextCursor: z.string().nullable().describe('Goes on with the check; null: it came to the end.'),
  pending: z.int().nullable().describe('Entries that are not chained yet; null before the end.'),
  unchecked: z.array(z.string()).describe('Shards that did not say what they have counted.'),
});

/** Follows the chain from its beginning, a bounded part in each call. Nothing is kept between them: a result in the database could be changed there. */
export const auditVerifyRoute = ({shards, askShards, cursors, readAuditKey}: VerifyOptions): Route =>
  route(
    {
      method: 'get',
      path: PATH,
      operationId: 'verifyAudit',
      summary: 'Check a part of the audit chain for rows that were changed or are gone.',
      access: 'audit',
      query: z.strictObject({
        cursor: z.string().min(1).max(6000).optional().describe('`nextCursor` of the call before.'),
        head: z
          .string()
          .optional()
          .refine(
            (text) => text === undefined || parseHead(text) !== undefined,
            'is no head, as the log of the keeper has it',
          )
          .describe(
            'A head that was kept elsewhere, as the log of the keeper has one each hour. The same in each call.',
          ),
      }),
      success: {status: 200, description: 'What was found.', schema: resultSchema},
    },
    async ({query, principal}) => {
      // What it says, it says of all groups.
      if (principal.scope !== undefined) {
        throw new AppError('forbidden', 'The audit is checked as a whole, so this needs a token for all groups.');
      }
      const expected = query.head === undefined ? undefined : parseHead(query.head);
      const list = `${PATH} ${query.head ?? ''}`;
      const from =
        query.cursor === undefined
          ? {seq: 0, mac: NO_MAC.toString('hex'), counters: []}
          : await cursors.open(list, placeSchema, query.cursor);
      const key = await readAuditKey();
      // Before the chain: what they have handed on by then is in it.
      const {answers, missing} = await askShards(shards.ids(), (shard) =>
        readOutboxState(shards.pool(shard, 'job'), shard),
      );
      const {head, rows} = await readChain(shards.control('job'), from.seq, PAGE);
      const start = {seq: from.seq, mac: Buffer.from(from.mac, 'hex'), counters: new Map(from.counters)};
      const {place, findings} = checkRows(key, start, rows, expected);
      const isEnd = rows.length < PAGE;
      const all: readonly AuditFinding[] = [
        ...findings,
        ...(isEnd ? checkEnd(place, head, expected) : []),
        ...(isEnd ? answers.flatMap(({value}) => checkOutbox(place, value)) : []),
      ];
      const next = {seq: place.seq, mac: place.mac.toString('hex'), counters: [...place.counters]};
      return {
        body: {
          checked: rows.length === 0 ? null : {fromSeq: from.seq + 1, toSeq: place.seq},
          findings: all.slice(0, MOST_FINDINGS).map((finding) => ({...finding, detail: inWords(finding)})),
          moreFindings: all.length > MOST_FINDINGS,
          head: headText(place),
          nextCursor: isEnd ? null : await cursors.seal(list, next),
          pending: isEnd ? answers.reduce((sum, {value}) => sum + value.pending, 0) : null,
          unchecked: isEnd ? shardNames(missing) : [],
        },
      };
    },
  );
