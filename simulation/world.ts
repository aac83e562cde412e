/** A region and its devices, put together from real parts over simulated neighbours. */
import {brokerNames} from '@pisync/core/broker/names';
import {type Call} from '@pisync/agent/client/transport';
import {type Delivery} from '@pisync/core/broker/consumer';
import {dayOf, daysAround, PARTITION_DAYS} from '@pisync/core/shards/partitions';
import {deviceKeyOf} from '@pisync/core/shards/slot';
import {createLogger} from '@pisync/core/telemetry/logger';
import {shownCredentialOf} from '@pisync/device-api/credentials/bearer';
import {deviceIdOf} from '@pisync/device-api/enrol/device-id';
import {type BrokerWorld, createBrokerWorld} from './broker.ts';
import {type CacheWorld, createCacheWorld} from './cache.ts';
import {createLedger, type Ledger} from './judge/ledger.ts';
import {type HintOf, type Mutant} from './mutants/mutant.ts';
import {misledName} from './judge/known-violations.ts';
import {createNetwork, type Ways} from './network.ts';
import {createDeviceApi, type DeviceApi} from './processes/device-api.ts';
import {type Card, createPi, type Pi} from './processes/pi.ts';
import {createProcess, type Process, type WallClock} from './processes/process.ts';
import {startSimulatedWorker} from './processes/worker.ts';
import {createRandom, type Random} from './random.ts';
import {createScheduler, type Scheduler} from './scheduler.ts';
import {createShardClient, type ShardClient} from './shard/client.ts';
import {createDatabase, type Database} from './shard/database.ts';
import {createSimulatedDeviceShards} from './shard/device-shards.ts';
import {createSimulatedStore} from './shard/shard-store.ts';
import {createStory, type Story} from './story.ts';
import {calm, type Weather} from './weather.ts';

/** A machine on which one process runs at a time. */
interface Server {
  readonly name: string;
  readonly clock: WallClock;
  readonly process: () => Process | undefined;
  start(): void;
  crash(): void;
}

export interface World {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly story: Story;
  readonly ledger: Ledger;
  readonly databases: readonly Database[];
  readonly broker: BrokerWorld;
  readonly cache: CacheWorld;
  readonly servers: readonly Server[];
  readonly pis: Pi[];
  readonly weather: Weather;
  /** Device ids whose card went back in time, or of which there were two. */
  readonly copied: Set<string>;
  /** Batches that a device may number anew although they were taken, because no device can tell; by {@link misledName}. */
  readonly misled: Set<string>;
  /** Device ids whose card lost an entry. */
  readonly damaged: Set<string>;
  /** How often a device was asked for a new epoch, by its id. */
  readonly asked: ReadonlyMap<string, number>;
  /** See the network. */
  readonly ways: {-readonly [Way in keyof Ways]: Ways[Way]};
  /** What no shard could keep, and whose it is. */
  readonly unreadable: readonly {readonly reason: string; readonly device: string | undefined}[];
  readonly shardOfDevice: (deviceId: string) => Database;
  addPi(name: string, card: Card): Pi;
  /** The device is asked for a new epoch, or has a reason of its own. */
  askForEpoch(deviceId: string): void;
  newSecret(): string;
  newId(): string;
}

export interface WorldOptions {
  readonly seed: number;
  readonly isTold: boolean;
  readonly mutant: Mutant | undefined;
}

const PARTITIONS = 2;
const CONFIRM_TIMEOUT_MS = 5_000;
const SHARD_IDS = [0, 1];
const SILENT = createLogger({level: 'silent', service: 'simulation', pod: 'none'});
const names = brokerNames('sim');

const slotOf = (deviceId: string): number => Number.parseInt(deviceId.slice(0, 8), 16) % 1024;
/** Not as partitions are chosen, so that a bundle has batches of both. */
const shardOf = (slot: number): number => (slot >> 1) % SHARD_IDS.length;

export const createWorld = ({seed, isTold, mutant = {name: ''}}: WorldOptions): World => {
  const random = createRandom(seed);
  const scheduler = createScheduler();
  const story = createStory(isTold, scheduler.now);
  const weather = calm();
  const ledger = createLedger();
  // Any time of day, so that many runs cross midnight.
  const startMs =
    Date.UTC(2026, 0, 15) + (random.chance(0.5) ? 86_400_000 - random.int(1, 120_000) : random.int(0, 80_000_000));
  const log = isTold ? createLogger({level: 'warn', service: '', pod: '', destination: {write: tell}}) : SILENT;
  function tell(line: string): void {
    const {msg, reason} = JSON.parse(line) as {msg: string; reason?: string};
    story.say('a worker', () => `says: ${msg}${reason === undefined ? '' : ` (${reason})`}`);
  }
  let ids = 0;
  let keys = 0;
  const hex = (): string => random.int(0, 0xffffffff).toString(16).padStart(8, '0');
  const newId = (): string => `id-${++ids}-${hex()}`;

  const databases = SHARD_IDS.map((shardId) => createDatabase({name: `shard ${shardId}`, scheduler, random, story}));
  for (const database of databases)
    for (const day of daysAround(startMs, PARTITION_DAYS.from, PARTITION_DAYS.to)) database.tables().days.add(day);
  // One day is missing at times: the worker has to make it.
  if (random.chance(0.3)) databases[0]?.tables().days.delete(dayOf(startMs + 86_400_000));
  const databaseOf = (shardId: number): Database => {
    const found = databases[shardId];
    if (found === undefined) throw new RangeError(`there is no shard ${shardId}`);
    return found;
  };
  // Slow statements meet more often.
  if (random.chance(0.3)) for (const database of databases) database.setPace(random.int(2, 12));
  const broker = createBrokerWorld({
    ...{scheduler, random, story, names, partitions: PARTITIONS, shardIds: SHARD_IDS},
    faults: () => ({confirm: weather.confirm, doubled: weather.kept, again: weather.again, againMs: weather.againMs}),
  });
  const cache = createCacheWorld({scheduler, random, story, latestMs: () => weather.cacheMs});
  const unreadable: World['unreadable'][number][] = [];

  const clientsOf = (process: Process): ((shardId: number) => ShardClient) => {
    const clients = databases.map((database) =>
      createShardClient({process, database, scheduler, random, breakage: () => weather.breakage}),
    );
    return (shardId) => {
      const client = clients[shardId];
      if (client === undefined) throw new RangeError(`there is no shard ${shardId}`);
      return client;
    };
  };

  const wrapDelivery = (delivery: Delivery): Delivery => mutant.delivery?.(delivery) ?? delivery;
  const apis = new Map<string, DeviceApi>();
  const startApi = (process: Process): void => {
    const clients = clientsOf(process);
    const publisher = broker.publisherFor(process, CONFIRM_TIMEOUT_MS);
    const api = createDeviceApi({
      process,
      shards: createSimulatedDeviceShards({
        clientOf: (slot) => clients(shardOf(slot)),
        slotOf,
        newKey: (slot) => deviceKeyOf(slot, ++keys),
        now: process.wallClock,
      }),
      ...{shardOf, slotOf, names, partitions: PARTITIONS},
      hints: cache.hintsFor(process),
      credentialCache: cache.credentialsFor(process),
      publisher: mutant.publisher?.(publisher) ?? publisher,
      onPromise(promise) {
        story.say(
          process.name,
          () => `promises batch ${promise.epoch}/${promise.batchSeq} of ${nameOf(promise.deviceId)}`,
        );
        ledger.promised(promise);
      },
    });
    apis.set(process.name, api);
    process.onDeath(() => apis.delete(process.name));
  };
  const hintOf: HintOf = (deviceKey) => {
    const rows = databases.flatMap((database) => [...database.tables().devices.values()]);
    return cache.appliedHint(rows.find((row) => row.deviceKey === deviceKey)?.deviceId ?? '');
  };
  const startWorker = (process: Process): void => {
    const client = clientsOf(process);
    const {locking, isSplit, store: mutate} = mutant;
    const store = createSimulatedStore({
      ...{client, now: process.wallClock},
      ...(locking === undefined ? {} : {locking}),
      ...(isSplit === undefined ? {} : {isSplit}),
    });
    startSimulatedWorker({
      ...{process, broker, names, partitions: PARTITIONS, shardIds: SHARD_IDS, shardOf, log, newId, wrapDelivery},
      publisher: broker.publisherOf(process, mutant.workerConfirmTimeoutMs),
      store: tellCommits(mutate?.(store, hintOf) ?? store, process, story, nameOf),
      hints: cache.hintsFor(process),
      onUnreadable: (reason, deviceId) =>
        unreadable.push({reason, device: typeof deviceId === 'string' ? deviceId : undefined}),
    });
  };

  const startProcess = (name: string, clock: WallClock): Process => createProcess({name, scheduler, startMs, clock});
  const createServer = (name: string, run: (process: Process) => void): Server => {
    const clock: WallClock = {offsetMs: random.int(-50, 50)};
    let process: Process | undefined;
    return {
      name,
      clock,
      process: () => process,
      start() {
        if (process !== undefined) return;
        story.say(name, () => 'starts');
        process = startProcess(name, clock);
        run(process);
      },
      crash() {
        if (process === undefined) return;
        story.say(name, () => 'crashes');
        process.kill();
        process = undefined;
      },
    };
  };

  const idNames = new Map<string, string>();
  const nameOf = (deviceId: string): string => idNames.get(deviceId) ?? deviceId;
  const misled = new Set<string>();
  const onMisled = ({headers, body}: Call): void => {
    const {deviceId} = shownCredentialOf(headers.authorization);
    // A body that a device made.
    const {epoch, batchSeq} = JSON.parse(body?.toString() ?? '') as {epoch: string; batchSeq: number};
    story.say(
      'a proxy',
      () => `has let a copy of ${epoch}/${batchSeq} of ${nameOf(deviceId)} through, and not the call`,
    );
    misled.add(misledName(deviceId, epoch, batchSeq));
    // By the region, when it finds the conflict.
    askForEpoch(deviceId);
  };
  const transport = createNetwork({
    scheduler,
    random,
    servers: () => [...apis.values()],
    faults: () => weather,
    ways: () => ways,
    onMisled,
    mistake: mutant.reply,
  });
  const ways = {inTime: random.chance(0.15) ? random.int(1, 3) : Infinity, allowed: Infinity, unsaid: Infinity};
  const asked = new Map<string, number>();
  const askForEpoch = (deviceId: string): void => void asked.set(deviceId, (asked.get(deviceId) ?? 0) + 1);
  /** Answers that a batch was too large or too slow, by device id. */
  const refusals = new Map<string, number>();
  const pis: Pi[] = [];
  const newSecret = (): string => Array.from({length: 5}, hex).join('').padEnd(43, 'x');

  return {
    ...{scheduler, random, story, ledger, databases, broker, cache, pis, weather, unreadable, newSecret, newId},
    copied: new Set(),
    damaged: new Set(),
    ...{asked, askForEpoch, ways, misled},
    servers: [
      ...Array.from({length: random.int(1, 2)}, (_, index) => createServer(`device-api ${index}`, startApi)),
      ...Array.from({length: random.int(2, 3)}, (_, index) => createServer(`worker ${index}`, startWorker)),
    ],
    shardOfDevice: (deviceId) => databaseOf(shardOf(slotOf(deviceId))),
    addPi(name, card) {
      idNames.set(deviceIdOf(card.identity.hardwareId), idNames.get(deviceIdOf(card.identity.hardwareId)) ?? name);
      const clock: WallClock = {offsetMs: random.int(-1e9, 1e9)};
      const pi = createPi({
        ...{name, card, transport, random, story, newSecret},
        onSecretLost: () => askForEpoch(deviceIdOf(card.identity.hardwareId)),
        startProcess: (processName) => startProcess(processName, clock),
        observer: {
          enrolled: (_, epoch) => story.say(name, () => `is enrolled for ${epoch}`),
          sending(deviceId, batch, hash) {
            story.say(
              name,
              () => `sends ${batch.epoch}/${batch.batchSeq} (${hash.slice(0, 6)}, ${batch.records.length} records)`,
            );
            ledger.sending(deviceId, batch, hash);
          },
          answered(deviceId, batch, _hash, answer) {
            if (answer.kind === 'too-large' || answer.kind === 'too-slow') {
              const count = (refusals.get(deviceId) ?? 0) + 1;
              refusals.set(deviceId, count);
              // Then a device may take a new epoch.
              if (count % 3 === 0) askForEpoch(deviceId);
            }
            story.say(name, () => {
              const said =
                answer.kind === 'accepted'
                  ? `accepted, applied through ${answer.sync.applied}`
                  : `${answer.kind}: ${answer.error}`;
              return `is answered on ${batch.epoch}/${batch.batchSeq}: ${said}`;
            });
          },
        },
      });
      pis.push(pi);
      return pi;
    },
  };
};

/** Says what commits made of their batches, as their worker heard of it. */
const tellCommits = (
  store: ReturnType<typeof createSimulatedStore>,
  process: Process,
  story: Story,
  nameOf: (deviceId: string) => string,
): ReturnType<typeof createSimulatedStore> => ({
  ...store,
  transaction: (request) =>
    store.transaction({
      ...request,
      async work(transaction) {
        const value = await request.work({
          ...transaction,
          write(changes, known, isLast) {
            const batches = changes.applied.map(
              ({deviceId, epoch, batchSeq}) => `${nameOf(deviceId)} e${epoch}/${batchSeq}`,
            );
            if (batches.length > 0)
              story.say(process.name, () => `writes ${batches.join(', ')} to shard ${request.shardId}`);
            if (known.length > 0)
              story.say(
                process.name,
                () =>
                  `knows ${known.map(({deviceId, epoch, batchSeq}) => `${nameOf(deviceId)} e${epoch}/${batchSeq}`).join(', ')} already`,
              );
            return transaction.write(changes, known, isLast);
          },
        });
        return value;
      },
    }),
});
