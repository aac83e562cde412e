import {type SlotVerdict} from '@pisync/core/shards/slot-transaction';
import {allAnswered} from '@pisync/core/shards/all-answered';
import {dayOf} from '@pisync/core/shards/partitions';
import {recordCount} from '@pisync/worker/apply/batch';
import {
  type OpenedDevices,
  type ShardStore,
  type ShardTransaction,
  type TransactionRequest,
} from '@pisync/worker/apply/shard-store';
import {type Connection, type ShardClient} from './client.ts';
import * as sql from './statements.ts';

/**
 * How the rows of devices are locked and read. Only the first is what the product does; the others are mistakes that the laws have to catch.
 * `epochs-joined` is one statement that waits for rows: of those it sees the new version, of what is joined to them the old one.
 */
export type Locking = 'skip-locked' | 'none' | 'position-first' | 'epochs-joined' | 'epochs-first';

export interface SimulatedStoreOptions {
  readonly client: (shardId: number) => ShardClient;
  readonly now: () => number;
  readonly locking?: Locking;
  /** Those of the slots that the shard does not own. */
  readonly moved?: (slots: readonly number[]) => readonly number[];
  /** Whether receipts and records are committed one after the other. A mistake. */
  readonly isSplit?: boolean;
}

const RECENT_MS = 7 * 86_400_000;

/** As pg-shard-store.ts, over simulated sessions. */
export const createSimulatedStore = (options: SimulatedStoreOptions): ShardStore => {
  const {client, now, locking = 'skip-locked', moved = () => [], isSplit = false} = options;

  const transaction = async <T>(request: TransactionRequest<T>): Promise<SlotVerdict<T>> => {
    const {shardId, slots, work, deadline} = request;
    const connection = await client(shardId).connect();
    const cut = (): void => connection.cut();
    deadline?.addEventListener('abort', cut);
    try {
      deadline?.throwIfAborted();
      const [elsewhere, opened] = await allAnswered([
        connection.query(() => moved(slots)),
        open(connection, request, locking),
      ]);
      if (elsewhere.length > 0) return {kind: 'moved', slots: elsewhere};
      let committing: Promise<void> | undefined;
      const commit = (): Promise<void> => (committing ??= connection.commit());
      const value = await work({
        ...opened,
        ...writerOf(connection, now, commit, isSplit ? () => client(shardId).connect() : undefined),
      });
      await commit();
      return {kind: 'done', value};
    } finally {
      deadline?.removeEventListener('abort', cut);
      connection.close();
    }
  };

  return {
    transaction,
    ensureDays: (shardId, days) =>
      client(shardId).ask((session) => {
        const missing = days.filter((day) => !session.tables().days.has(day));
        for (const day of missing) session.tables().days.add(day);
        return missing;
      }),
    heldDevices: (shardId, deviceKeys) =>
      client(shardId).ask(
        (session) => new Set(deviceKeys.filter((deviceKey) => session.isLockedByOther(sql.rowLock(deviceKey)))),
      ),
    answers: (shardId) => client(shardId).answers(),
    isOutdated: () => Promise.resolve(false),
  };
};

const open = async (
  connection: Connection,
  {deviceKeys, epochs}: Pick<TransactionRequest<unknown>, 'deviceKeys' | 'epochs'>,
  locking: Locking,
): Promise<OpenedDevices> => {
  switch (locking) {
    case 'skip-locked': {
      const [rows, replaced] = await allAnswered([
        connection.query(sql.lockDevices(deviceKeys)),
        connection.query(sql.findEpochs(epochs)),
      ]);
      return {...rows, epochs: replaced};
    }
    case 'none': {
      const [rows, replaced] = await allAnswered([
        connection.query(sql.readDevices(deviceKeys)),
        connection.query(sql.findEpochs(epochs)),
      ]);
      return {...rows, epochs: replaced};
    }
    case 'position-first': {
      const [rows, locked, replaced] = await allAnswered([
        connection.query(sql.readDevices(deviceKeys)),
        connection.query(sql.lockDevices(deviceKeys)),
        connection.query(sql.findEpochs(epochs)),
      ]);
      const names = new Set(locked.locked.map(({deviceKey}) => deviceKey));
      return {
        locked: rows.locked.filter(({deviceKey}) => names.has(deviceKey)),
        busy: locked.busy,
        epochs: replaced,
      };
    }
    case 'epochs-joined':
      return connection.query(async (session) => {
        const replaced = await sql.findEpochs(epochs)(session);
        const rows = await sql.lockDevicesWaiting(deviceKeys)(session);
        return {...rows, epochs: replaced};
      });
    case 'epochs-first': {
      const [replaced, rows] = await allAnswered([
        connection.query(sql.findEpochs(epochs)),
        connection.query(sql.lockDevices(deviceKeys)),
      ]);
      return {...rows, epochs: replaced};
    }
  }
};

const writerOf = (
  connection: Connection,
  now: () => number,
  commit: () => Promise<void>,
  /** Where records go, when they go elsewhere. */
  another: (() => Promise<Connection>) | undefined,
): Pick<ShardTransaction, 'write' | 'findReceipts' | 'keepRefused'> => ({
  async write(changes, known, isLast) {
    const {applied, quarantined, epochs, devices, shadows, syncs, today} = changes;
    const hasRecords = applied.some((batch) => recordCount(batch) > 0);
    const statements =
      applied.length === 0
        ? []
        : [
            sql.insertReceipts(applied),
            ...(hasRecords && another === undefined ? [sql.insertRecords(applied)] : []),
            ...(quarantined.length > 0 ? [sql.insertQuarantine(quarantined, today)] : []),
            ...(epochs.length > 0 ? [sql.putEpochs(epochs)] : []),
            sql.updateDevices(devices),
            ...(shadows.length > 0 ? [sql.putShadows(shadows)] : []),
            sql.closeCommands(syncs),
          ];
    const sent = statements.map((statement) => connection.query(statement));
    const found = connection.query(known.length === 0 ? () => [] : sql.findReceipts(known, dayOf(now() - RECENT_MS)));
    await allAnswered([...sent, found, isLast ? commit() : Promise.resolve()]);
    if (another !== undefined && hasRecords) {
      await commit();
      const second = await another();
      await allAnswered([second.query(sql.insertRecords(applied)), second.commit()]);
    }
    return found;
  },
  findReceipts: (known) => connection.query(sql.findReceipts(known, '')),
  async keepRefused({quarantined, commands, today}) {
    await allAnswered([
      connection.query(sql.keepRefused(quarantined, today)),
      connection.query(sql.insertCommands(commands, now())),
    ]);
  },
});
