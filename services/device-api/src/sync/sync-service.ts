import type {BundleItem} from '@pisync/core/broker/bundle';
import type {QueuePriority} from '@pisync/core/broker/names';
import type {Command} from '@pisync/core/commands/commands';
import type {Credential} from '@pisync/core/devices/credentials';
import {AppError} from '@pisync/core/errors/app-error';
import {activeTrace} from '@pisync/core/telemetry/trace-context';
import {proven} from '../credentials/authenticator.ts';
import type {CredentialStore} from '../credentials/credential-store.ts';
import type {DeviceShards} from '../device-shards.ts';
import type {LastSeen} from '../heartbeat/last-seen.ts';
import {bytesOf} from '../limits/byte-quota.ts';
import type {GiveBack} from '../limits/shared-quota.ts';
import type {OptionalRead} from '../optional-reads.ts';
import {POLICY} from '../policy.ts';
import {SHARD_RETRY_S} from '../shard-fault.ts';
import {MAX_AHEAD} from '@pisync/core/devices/max-ahead';
import {parseEpoch} from '@pisync/core/devices/epoch';
import {nextSyncAt, phaseOf, type SyncWindow} from './next-sync.ts';
import type {KnownPosition, PositionSource} from './position.ts';
import {receiptId} from './receipt-id.ts';
import type {SyncBody} from './sync-body.ts';

/** How far ahead of the applied batch a batch may be. Anything nearer is taken, in whatever order it comes. */
const WINDOW = 64;
/** What fits a response without growing it; the rest comes with the next call. */
const MAX_COMMANDS = 10;

export interface SyncAnswer {
  readonly accepted?: number;
  readonly applied: number;
  readonly receipt?: string;
  /** See {@link SyncBody}. */
  readonly contentHash?: string;
  readonly duplicate: boolean;
  readonly nextSyncAt: number;
  readonly continueNow: boolean;
  readonly commands: readonly object[];
  readonly serverTime: number;
  readonly policy: typeof POLICY;
}

export interface SyncService {
  /**
   * Takes a validated call of an authenticated device; resolves once what it brought is durable.
   * @throws AppError `bad-request`, `enrol-again`, `unauthenticated` or `forbidden` where a fresh look at the device says so, `batch-gap`, `rate-limited`, `shard-unavailable` for a heartbeat that nobody can answer and for a batch
   * that nobody can place, or what the broker's publisher throws.
   */
  sync(device: Credential, body: SyncBody, payload: Buffer): Promise<SyncAnswer>;
}

export interface SyncServiceOptions {
  readonly credentials: Pick<CredentialStore, 'findFresh'>;
  readonly positions: PositionSource;
  readonly publish: (item: BundleItem, priority: QueuePriority) => Promise<void>;
  readonly lastSeen: Pick<LastSeen, 'note'>;
  readonly shards: Pick<DeviceShards, 'openCommands' | 'markDelivered'>;
  readonly optionalRead: OptionalRead;
  /** What a batch will take in its shard. @throws AppError `rate-limited` */
  readonly chargeBytes: (deviceId: string, bytes: number) => Promise<GiveBack>;
  readonly syncWindow: () => SyncWindow;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  readonly onShardFault: (error: unknown) => void;
}

export const createSyncService = (options: SyncServiceOptions): SyncService => {
  const {credentials, positions, publish, lastSeen, shards, optionalRead, wallClock, onShardFault} = options;

  const issuedEpoch = async (device: Credential, text: string): Promise<number> => {
    const epoch = parseEpoch(text);
    if (epoch === undefined) throw new AppError('enrol-again', 'this region never issued such an epoch; enrol again');
    if (epoch <= device.epoch) return epoch;
    // It may have been issued a moment ago, by another process: to whoever has the secret of now, which this one need not be.
    const fresh = await credentials.findFresh(device.deviceId);
    if (fresh !== undefined && epoch <= proven(fresh, device.secretHash).epoch) return epoch;
    throw new AppError('enrol-again', 'this epoch was not issued yet; enrol again');
  };

  const refuseGap = async (
    device: Credential,
    epoch: number,
    batchSeq: number,
    known: KnownPosition,
  ): Promise<KnownPosition> => {
    if (known.applied !== undefined && batchSeq <= known.applied + WINDOW) return known;
    // A hint lags behind; before a device is refused the shard is asked. When nobody could say it was asked a moment ago.
    const isAsked = known.fromShard || known.applied === undefined;
    const sure = isAsked ? known : {...(await positions.findInShard(device, epoch)), atLeast: known.atLeast};
    if (sure.applied === undefined) {
      // The shard would not take it, as far as anybody can tell, and then nobody would tell the device.
      if (batchSeq > sure.atLeast + MAX_AHEAD) {
        throw new AppError(
          'shard-unavailable',
          `nobody can say at the moment whether batch ${batchSeq} comes next; come back later`,
          {retryAfterSeconds: SHARD_RETRY_S},
        );
      }
      return sure;
    }
    if (batchSeq <= sure.applied + WINDOW) return sure;
    throw new AppError('batch-gap', `batch ${batchSeq} is more than ${WINDOW} ahead of the applied ${sure.applied}`, {
      extra: {expected: sure.applied + 1, applied: sure.applied},
    });
  };

  /** None when nobody can say. */
  const openCommands = async (device: Credential, known: KnownPosition): Promise<readonly Command[]> => {
    // When nobody could say, the shard was asked a moment ago.
    if (known.commands !== true) return [];
    try {
      return await optionalRead(device.slot, () => shards.openCommands(device, MAX_COMMANDS));
    } catch (error) {
      onShardFault(error);
      return [];
    }
  };

  const tell = (device: Credential, body: SyncBody, open: readonly Command[]): readonly object[] => {
    // What the device has done stays open until the batch that says so is applied. And a device that has enrolled anew since needs no new epoch.
    const due = open.filter(
      (command) => !body.cmdAcks.includes(command.commandId) && !asksForEpochBefore(device.epoch, command),
    );
    const fresh = due.filter(({deliveredAt}) => deliveredAt === null);
    if (fresh.length > 0) {
      const {deviceKey, slot} = device;
      const deliveries = fresh.map(({commandId}) => ({deviceKey, slot, commandId}));
      // For people to look at; the answer need not wait for it.
      shards.markDelivered(deliveries, wallClock()).catch(onShardFault);
    }
    return due.map(formatCommand);
  };

  const answer = async (
    device: Credential,
    body: SyncBody,
    known: KnownPosition,
    taken: Pick<SyncAnswer, 'accepted' | 'receipt' | 'contentHash' | 'duplicate'>,
    open?: readonly Command[],
  ): Promise<SyncAnswer> => {
    const now = wallClock();
    return {
      ...taken,
      applied: known.applied ?? 0,
      nextSyncAt: nextSyncAt(now, options.syncWindow(), phaseOf(device.deviceId)),
      continueNow: body.more,
      commands: tell(device, body, open ?? (await openCommands(device, known))),
      serverTime: now,
      policy: POLICY,
    };
  };

  return {
    async sync(device, body, payload) {
      const {deviceId, deviceKey, slot} = device;
      const epoch = await issuedEpoch(device, body.epoch);
      const isHeartbeat = body.mode === 'heartbeat';
      // A device that was restarted relies on it: told too little, it would use numbers a second time. And a hint lags.
      const known = await positions.find(device, epoch, {isShardFirst: isHeartbeat});
      const receivedAt = wallClock();
      if (isHeartbeat) {
        if (body.recordCount > 0) throw new AppError('bad-request', 'a heartbeat carries no records');
        lastSeen.note({deviceKey, slot, seenAtMs: receivedAt});
        if (known.applied === undefined) {
          throw new AppError('shard-unavailable', 'nobody can say at the moment what is applied; come back later', {
            retryAfterSeconds: SHARD_RETRY_S,
          });
        }
        return answer(device, body, known, {duplicate: false});
      }
      const {batchSeq, contentHash} = body;
      if (batchSeq < 1) throw new AppError('bad-request', 'batchSeq starts at 1');
      const position = await refuseGap(device, epoch, batchSeq, known);
      const taken = {accepted: batchSeq, receipt: receiptId(deviceId, epoch, batchSeq), contentHash};
      const last = position.accepted;
      const isSame = last?.deviceKey === deviceKey && last.epoch === epoch && last.batchSeq === batchSeq;
      if (isSame && last.contentHash === contentHash) {
        return answer(device, body, position, {...taken, duplicate: true});
      }
      const meta = {
        deviceId,
        deviceKey,
        slot,
        epoch,
        batchSeq,
        contentHash,
        receivedAt,
        receivedDay: new Date(receivedAt).toISOString().slice(0, 10),
        mode: body.mode,
        reason: body.reason ?? null,
        bad: [...body.bad],
        ...(body.isStateBad ? {badState: true} : {}),
        records: body.recordCount,
        trace: activeTrace(),
      };
      const giveBack = await options.chargeBytes(deviceId, bytesOf(payload.length, body));
      const open = body.reason === 'forced' ? await openCommands(device, position) : undefined;
      try {
        await publish({meta, payload}, priorityOf(open ?? []));
      } catch (error) {
        // It will be stored if the broker may have it (`broker-timeout`).
        if (error instanceof AppError && error.code === 'broker-unavailable') await giveBack();
        throw error;
      }
      // Also what is already applied goes to a worker: only there a repetition with other content can be told.
      const duplicate = position.applied !== undefined && batchSeq <= position.applied;
      const [result] = await Promise.all([
        answer(device, body, position, {...taken, duplicate}, open),
        positions.noteAccepted(deviceId, {deviceKey, epoch, batchSeq, contentHash}),
      ]);
      return result;
    },
  };
};

/** That of the command that asked for the batch, if any did: a device's own word gives it none. */
const priorityOf = (open: readonly Command[]): QueuePriority =>
  open.some(({type, priority}) => type.startsWith('sync.') && priority === 'high') ? 'high' : 'normal';

const asksForEpochBefore = (issued: number, {type, params}: Command): boolean =>
  type === 'epoch.new' && typeof params.epoch === 'number' && params.epoch < issued;

const formatCommand = ({commandId, type, params, expiresAt}: Command): object => ({
  id: commandId,
  type,
  params,
  expiresAt: expiresAt.getTime(),
});
