import {z} from 'zod';
import {listCommands, type PastCommand} from '@pisync/core/queries/commands';
import {listReceipts} from '@pisync/core/queries/receipts';
import type {Receipt} from '@pisync/core/receipts/receipts';
import {listRecords, type StoredRecord} from '@pisync/core/queries/records';
import type {Shards} from '@pisync/core/shards/shards';
import {route, type Route} from '../http/route.ts';
import type {Cursors} from '../paging/cursors.ts';
import {pageOf, pageQuery, timestamp} from '../paging/page-schema.ts';
import type {DeviceDirectory, DeviceInfo} from './device-directory.ts';
import {formatEpoch} from '@pisync/core/devices/epoch';

/** What a device has a history of: its syncs, its records, its commands. Each is read newest first, page by page. */

export interface DeviceHistoryOptions {
  readonly shards: Shards;
  readonly directory: DeviceDirectory;
  readonly cursors: Cursors;
  readonly now: () => number;
}

interface History<Row, Place extends z.ZodType, View extends z.ZodType> {
  readonly name: string;
  readonly operationId: string;
  readonly summary: string;
  readonly view: View;
  readonly place: Place;
  readonly list: (
    device: DeviceInfo,
    page: {readonly before: z.output<Place> | undefined; readonly limit: number},
  ) => Promise<{readonly rows: readonly Row[]; readonly hasNextPage: boolean}>;
  readonly placeOf: (row: Row) => z.input<Place>;
  readonly show: (row: Row, nowMs: number) => z.input<View>;
}

const historyRoute = <Row, Place extends z.ZodType, View extends z.ZodType>(
  {directory, cursors, now}: DeviceHistoryOptions,
  history: History<Row, Place, View>,
): Route =>
  route(
    {
      method: 'get',
      path: `/api/v1/devices/{id}/${history.name}`,
      operationId: history.operationId,
      summary: history.summary,
      access: 'read',
      params: z.strictObject({id: z.uuid()}),
      query: z.strictObject(pageQuery),
      success: {status: 200, description: 'A page.', schema: pageOf(history.view)},
      problems: {404: 'No such device.'},
    },
    async ({params, query, principal}) => {
      const list = `${history.name} ${params.id}`;
      const before = query.cursor === undefined ? undefined : await cursors.open(list, history.place, query.cursor);
      const device = await directory.get(params.id, principal.scope);
      const asOfMs = now();
      const {rows, hasNextPage} = await history.list(device, {before, limit: query.limit});
      const last = rows.at(-1);
      return {
        body: {
          data: rows.map((row) => history.show(row, asOfMs)),
          hasNextPage,
          nextCursor: hasNextPage && last !== undefined ? await cursors.seal(list, history.placeOf(last)) : null,
          asOf: new Date(asOfMs).toISOString(),
        },
      };
    },
  );

/** The page of the one device that was asked for. */
const first = async <Row>(pages: Promise<readonly (readonly Row[])[]>): Promise<readonly Row[]> =>
  (await pages)[0] ?? [];

/** Asks for one row more, which says whether there is a next page. */
const withPeek = async <Row>(
  page: {readonly limit: number},
  list: (limit: number) => Promise<readonly Row[]>,
): Promise<{readonly rows: readonly Row[]; readonly hasNextPage: boolean}> => {
  const rows = await list(page.limit + 1);
  return {rows: rows.slice(0, page.limit), hasNextPage: rows.length > page.limit};
};

const syncView = z.object({
  epoch: z.string(),
  batchSeq: z.int(),
  outcome: z.enum(['applied', 'rejected']),
  recordCount: z.int(),
  badCount: z.int().describe('Records that were put into quarantine.'),
  mode: z.string(),
  reason: z.string().nullable(),
  receivedAt: timestamp,
  appliedAt: timestamp,
});

const recordView = z.object({
  epoch: z.string(),
  batchSeq: z.int(),
  ordinal: z.int().describe('Its place in the batch, from 0.'),
  seq: z.int(),
  kind: z.string(),
  deviceTime: timestamp.nullable().describe("What the device's clock said; nothing is ordered by it."),
  badTime: z.boolean().describe('Whether the device said a time that cannot be one; there is none then.'),
  receivedAt: timestamp,
  data: z.unknown(),
});

const commandView = z.object({
  id: z.uuid(),
  requestId: z.uuid(),
  type: z.string(),
  priority: z.enum(['high', 'normal']),
  state: z.enum(['queued', 'delivered', 'done', 'expired']),
  createdAt: timestamp,
  expiresAt: timestamp,
  deliveredAt: timestamp.nullable(),
  doneAt: timestamp.nullable(),
});

const commandState = (command: PastCommand, nowMs: number): 'queued' | 'delivered' | 'done' | 'expired' => {
  if (command.doneAt !== null) return 'done';
  if (command.expiresAt.getTime() <= nowMs) return 'expired';
  return command.deliveredAt === null ? 'queued' : 'delivered';
};

export const deviceHistoryRoutes = (options: DeviceHistoryOptions): readonly Route[] => [
  historyRoute(options, {
    name: 'syncs',
    operationId: 'listDeviceSyncs',
    summary: 'The batches of a device that were applied or rejected, newest first.',
    view: syncView,
    place: z.strictObject({epoch: z.int(), batchSeq: z.int()}),
    list: (device, page) =>
      withPeek(page, (limit) => first(listReceipts(options.shards, [{device, before: page.before}], limit))),
    placeOf: ({epoch, batchSeq}: Receipt) => ({epoch, batchSeq}),
    show: (receipt) => ({
      epoch: formatEpoch(receipt.epoch),
      batchSeq: receipt.batchSeq,
      outcome: receipt.outcome,
      recordCount: receipt.recordCount,
      badCount: receipt.badCount,
      mode: receipt.mode,
      reason: receipt.reason,
      receivedAt: receipt.receivedAt.toISOString(),
      appliedAt: receipt.appliedAt.toISOString(),
    }),
  }),
  historyRoute(options, {
    name: 'records',
    operationId: 'listDeviceRecords',
    summary: 'The records of a device by batch and place in it, newest first.',
    view: recordView,
    place: z.strictObject({epoch: z.int(), batchSeq: z.int(), ordinal: z.int()}),
    list: async (device, {before, limit}) => {
      const [page] = await listRecords(options.shards, [{device, before}], limit);
      return page ?? {rows: [], hasNextPage: false};
    },
    placeOf: ({epoch, batchSeq, ordinal}: StoredRecord) => ({epoch, batchSeq, ordinal}),
    show: (record) => ({
      epoch: formatEpoch(record.epoch),
      batchSeq: record.batchSeq,
      ordinal: record.ordinal,
      seq: record.seq,
      kind: record.kind,
      deviceTime: record.deviceTime?.toISOString() ?? null,
      badTime: record.badTime,
      receivedAt: record.receivedAt.toISOString(),
      data: record.data,
    }),
  }),
  historyRoute(options, {
    name: 'commands',
    operationId: 'listDeviceCommands',
    summary: 'What a device was asked to do, newest first.',
    view: commandView,
    place: z.strictObject({createdAtMs: z.number(), commandId: z.uuid()}),
    list: (device, page) =>
      withPeek(page, (limit) => first(listCommands(options.shards, [{device, before: page.before}], limit))),
    placeOf: ({createdAt, commandId}: PastCommand) => ({createdAtMs: createdAt.getTime(), commandId}),
    show: (command, nowMs) => ({
      id: command.commandId,
      requestId: command.requestId,
      type: command.type,
      priority: command.priority,
      state: commandState(command, nowMs),
      createdAt: command.createdAt.toISOString(),
      expiresAt: command.expiresAt.toISOString(),
      deliveredAt: command.deliveredAt?.toISOString() ?? null,
      doneAt: command.doneAt?.toISOString() ?? null,
    }),
  }),
];
