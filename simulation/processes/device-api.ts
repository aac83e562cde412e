/** A device-api process: what service.ts puts together, and its routes without HTTP. */
import {type Call} from '@pisync/agent/client/transport';
import {type HttpReply} from '@pisync/agent/client/answer';
import {createBundler, DEFAULT_BUNDLER_LIMITS} from '@pisync/core/broker/bundler';
import {type BrokerNames} from '@pisync/core/broker/names';
import {type Publisher} from '@pisync/core/broker/publisher';
import {type PositionHints} from '@pisync/core/cache/position-hint';
import {formatEpoch} from '@pisync/core/devices/epoch';
import {tokenHash} from '@pisync/core/devices/tokens';
import {AppError} from '@pisync/core/errors/app-error';
import {onReceived} from '@pisync/core/http/received';
import {bindingOf, type Binding} from '@pisync/device-api/answers/binding';
import {problemOf} from '@pisync/core/errors/problem';
import {authenticate} from '@pisync/device-api/credentials/authenticator';
import {formatCredential, shownCredentialOf} from '@pisync/device-api/credentials/bearer';
import {type CredentialCache} from '@pisync/device-api/credentials/credential-cache';
import {createCredentialStore} from '@pisync/device-api/credentials/credential-store';
import {deviceIdOf} from '@pisync/device-api/enrol/device-id';
import {parseEnrolBody} from '@pisync/device-api/enrol/enrol-body';
import {enrolRefusal} from '@pisync/device-api/enrol/enrol-route';
import {createLastSeenByShard} from '@pisync/device-api/heartbeat/last-seen';
import {createOptionalRead} from '@pisync/device-api/optional-reads';
import {createFromShard} from '@pisync/device-api/shard-fault';
import {createPositionSource} from '@pisync/device-api/sync/position';
import {parseSyncBody} from '@pisync/device-api/sync/sync-body';
import {createSyncService} from '@pisync/device-api/sync/sync-service';
import {Registry} from 'prom-client';
import {type SimulatedDeviceShards} from '../shard/device-shards.ts';
import {POLICY} from './policy.ts';
import {type Process} from './process.ts';

/** A batch that a device was told is accepted. */
export interface Promise2xx {
  readonly deviceId: string;
  readonly epoch: string;
  readonly batchSeq: number;
  readonly contentHash: string;
}

export interface DeviceApiOptions {
  readonly process: Process;
  readonly shards: SimulatedDeviceShards;
  readonly shardOf: (slot: number) => number;
  readonly slotOf: (deviceId: string) => number;
  readonly hints: PositionHints;
  readonly credentialCache: CredentialCache;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly names: BrokerNames;
  readonly partitions: number;
  /** Called before the answer leaves. */
  readonly onPromise: (promise: Promise2xx) => void;
}

export interface DeviceApi {
  readonly process: Process;
  handle(call: Call): Promise<HttpReply>;
}

const LAST_SEEN_INTERVAL_MS = 1000;
export const REGION = 'sim';

export const createDeviceApi = (options: DeviceApiOptions): DeviceApi => {
  const {process, shards, shardOf, slotOf, hints, names, partitions, publisher} = options;
  const {timers, wallClock} = process;
  const onShardFault = (): void => undefined;
  const bundler = createBundler({
    publisher,
    names,
    partitions,
    limits: DEFAULT_BUNDLER_LIMITS,
    soon: timers.soon,
    registry: new Registry(),
  });
  const fromShard = createFromShard(timers, () => undefined);
  const optionalRead = createOptionalRead({shardOf, loadOf: () => ({waiting: 0, answered: 0}), timers});
  const load = async (deviceId: string) => {
    const context = await shards.context(deviceId);
    if (context === undefined) return undefined;
    void hints.write(deviceId, context);
    return context.credential;
  };
  const credentials = createCredentialStore({
    cache: options.credentialCache,
    load: (deviceId) => fromShard(load(deviceId)),
    loadQuickly: (deviceId) => optionalRead(slotOf(deviceId), () => load(deviceId)),
    now: timers.now,
  });
  const service = createSyncService({
    credentials,
    positions: createPositionSource({hints, shards, optionalRead, onShardFault}),
    publish: (item, priority) => bundler.add(item, priority),
    lastSeen: createLastSeenByShard({
      shardOf,
      shards: () => 1,
      write: (sightings) => shards.touchLastSeen(sightings),
      intervalMs: LAST_SEEN_INTERVAL_MS,
      after: timers.after,
      onFault: onShardFault,
    }),
    shards,
    optionalRead,
    chargeBytes: () => Promise.resolve(() => Promise.resolve()),
    syncWindow: () => ({start: '00:00', durationMinutes: 1440}),
    wallClock,
    onShardFault,
  });

  const enrol = async ({body}: Call, binding: Binding): Promise<object> => {
    const {hardwareId, secret} = parseEnrolBody(body ?? Buffer.alloc(0));
    const deviceId = deviceIdOf(hardwareId);
    const secretHash = tokenHash(secret);
    const enrolment = await fromShard(shards.enrol({deviceId, secretHash}));
    if (enrolment.kind === 'refused') throw enrolRefusal(enrolment);
    const {kind, deviceKey, slot, epoch} = enrolment;
    if (kind !== 'repeated') {
      await credentials.introduce({deviceId, deviceKey, slot, secretHash, epoch, revoked: false});
    }
    const credential = formatCredential({deviceId, secret});
    return {...binding, deviceId, credential, epoch: formatEpoch(epoch), policy: POLICY};
  };

  const sync = async ({headers, body: payload = Buffer.alloc(0)}: Call, binding: Binding): Promise<HttpReply> => {
    const device = await authenticate(credentials, shownCredentialOf(headers.authorization));
    const {body, taken} = await onReceived(payload, async () => {
      const parsed = parseSyncBody(payload);
      return {body: parsed, taken: await service.sync(device, parsed, payload)};
    });
    const answer = {...binding, deviceId: device.deviceId, epoch: body.epoch, ...taken, policy: POLICY};
    const {epoch, batchSeq, contentHash} = body;
    if (answer.accepted !== undefined) options.onPromise({deviceId: device.deviceId, epoch, batchSeq, contentHash});
    if (body.faults.length === 0) return reply(200, answer);
    const problem = new AppError('invalid', 'some of it cannot be stored', {errors: body.faults, extra: answer});
    return refusal(problem, binding);
  };

  return {
    process,
    async handle(call) {
      const {pathname, searchParams} = new URL(call.path, call.baseUrl);
      const binding = bindingOf(REGION, searchParams.get('nonce'));
      try {
        return pathname === '/v1/enroll' ? reply(200, await enrol(call, binding)) : await sync(call, binding);
      } catch (error) {
        return refusal(error, binding);
      }
    },
  };
};

const reply = (status: number, body: object, retryAfter?: string): HttpReply => ({
  kind: 'reply',
  status,
  retryAfter,
  body: JSON.stringify(body),
});

const refusal = (error: unknown, binding: Binding): HttpReply => {
  const {status, body, retryAfterSeconds} = problemOf(error);
  return reply(status, {...binding, ...body}, retryAfterSeconds?.toString());
};
