import {spawn} from 'node:child_process';
import {createHash, randomBytes, randomUUID} from 'node:crypto';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {openBrokerConnection} from '@pisync/core/broker/connection';
import {type BrokerNames, brokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from '@pisync/core/broker/names';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {enrol} from '@pisync/core/devices/enrolment';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {tokenHash} from '@pisync/core/devices/tokens';
import {createLogger} from '@pisync/core/telemetry/logger';
import {serverAddress} from '@pisync/core/testing/server-address';
import {freePort, type ServiceProcess, startProcess} from '@pisync/core/testing/service-process';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import type {Attack, Casualties} from './attack.ts';
import type {Experience, Innocence} from './innocents.ts';
import {BEGUN} from './processes/begun.ts';
import type {Load} from './processes/load.ts';
import type {Loot} from './targets.ts';

/** Of a pod, as the operator makes it by default (operator/src/api/v1alpha1/tiers.ts). */
export const MEMORY_LIMIT_BYTES = 512 * 1024 * 1024;
/** What node makes of such a limit, which it finds in the control group of a pod: half of it is heap, and hardly any of that is young. */
const NODE_OPTIONS = '--max-old-space-size=256 --max-semi-space-size=1';

const PARTITIONS = 2;
const CALLS_PER_TOKEN_AND_MINUTE = '100000';

type Service = 'device-api' | 'admin-api' | 'worker';

export interface RunningService {
  readonly process: ServiceProcess;
  /** Of the API; of a worker none. */
  readonly port: number;
  readonly opsPort: number;
}

export interface HostileDevice {
  readonly deviceId: string;
  readonly deviceKey: number;
  readonly secret: string;
}

/** A database, and one process of each service, as its pod runs it. */
export interface HostileRegion {
  readonly shards: TestShards;
  readonly services: Readonly<Record<Service, RunningService>>;
  enrolDevices(count: number, groupId?: number): Promise<readonly HostileDevice[]>;
  /** API tokens that may read, and ask for syncs. */
  makeTokens(count: number): Promise<readonly string[]>;
  /** An enrolment token, and the group that it admits to. */
  makeGroup(name: string): Promise<{readonly groupId: number; readonly token: string}>;
  /** In a process of its own. */
  attack(attack: Attack, onBegun: () => void): Promise<Casualties>;
  live(innocence: Innocence): Promise<Experience>;
  close(): Promise<void>;
}

const log = createLogger({level: 'silent', service: 'test', pod: 'test'});

const mainOf = (service: Service): URL => new URL(`../../services/${service}/src/main.ts`, import.meta.url);

/** @param env of device-api */
export const startHostileRegion = async (env: Readonly<Record<string, string>> = {}): Promise<HostileRegion> => {
  const [amqp, redis] = [serverAddress('PISYNC_TEST_AMQP_URL'), serverAddress('PISYNC_TEST_REDIS_URL')];
  const shards = await createTestShards({shards: 1});
  const folder = await mkdtemp(join(tmpdir(), 'pisync-hostile-'));
  const prefix = `test-${randomBytes(5).toString('hex')}`;
  const credentials = {username: decodeURIComponent(amqp.username), password: decodeURIComponent(amqp.password)};
  const broker = {host: amqp.hostname, port: Number(amqp.port), vhost: '/'};
  await writeFile(
    join(folder, 'topology.json'),
    JSON.stringify({
      ...shards.topology,
      deviceHost: '127.0.0.1',
      broker: {...broker, partitions: PARTITIONS, replicas: 1},
      redis: {host: redis.hostname, port: Number(redis.port)},
    }),
  );
  const secret = async (name: string, key: string, value: string): Promise<void> => {
    await mkdir(join(shards.secretsDir, name), {recursive: true});
    await writeFile(join(shards.secretsDir, name, key), value);
  };
  for (const [key, value] of Object.entries(credentials)) await secret('rabbitmq', key, value);
  await secret('bootstrap', 'admin-token', randomUUID());
  await secret('bootstrap', 'enrolment-token', randomUUID());
  await secret('signing', 'key', randomBytes(32).toString('base64url'));

  const start = async (service: Service): Promise<RunningService> => {
    const [port, opsPort] = [await freePort(), await freePort()];
    const process = startProcess(mainOf(service), {
      NODE_OPTIONS,
      NODE_ENV: 'production',
      PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
      PISYNC_SECRETS_DIR: shards.secretsDir,
      PISYNC_DASHBOARD_DIR: folder,
      PISYNC_LOG_LEVEL: 'error',
      PISYNC_HTTP_PORT: String(port),
      PISYNC_OPS_PORT: String(opsPort),
      PISYNC_BROKER_PREFIX: prefix,
      PISYNC_DRAIN_MS: '0',
      PISYNC_API_CALLS_PER_MINUTE: CALLS_PER_TOKEN_AND_MINUTE,
      ...(service === 'device-api' ? env : {}),
    });
    await process.ready(opsPort);
    return {process, port, opsPort};
  };
  const [worker, deviceApi, adminApi] = [await start('worker'), await start('device-api'), await start('admin-api')];
  const keys = createDeviceKeys(shards.shards);
  const control = shards.shards.control('job');

  return {
    shards,
    services: {worker, 'device-api': deviceApi, 'admin-api': adminApi},
    async enrolDevices(count, groupId = DEFAULT_GROUP) {
      const devices: HostileDevice[] = [];
      for (let number = 0; number < count; number++) {
        const deviceId = randomUUID();
        const secretText = randomBytes(32).toString('base64url');
        const secretHash = createHash('sha256').update(secretText).digest();
        const made = await enrol(shards.shards, keys, {deviceId, hardwareId: deviceId, secretHash, groupId});
        if (made.kind === 'refused') throw new Error(`the new device ${deviceId} is refused`);
        devices.push({deviceId, deviceKey: made.deviceKey, secret: secretText});
      }
      return devices;
    },
    async makeTokens(count) {
      const tokens = Array.from({length: count}, () => `operator-${randomUUID()}`);
      await control.query(
        `insert into control.api_token (token_hash, token_id, name, role, created_by)
         select hash, gen_random_uuid(), 'test', 'operator', 'test' from unnest($1::bytea[]) hash`,
        [tokens.map(tokenHash)],
      );
      return tokens;
    },
    async makeGroup(name) {
      const token = `enrol-${randomUUID()}`;
      const {rows} = await control.query<{groupId: number}>(
        `with made as (insert into control.device_group (name) values ($2) returning group_id)
         insert into control.enrolment_token (token_hash, token_id, group_id, name, created_by)
         select $1, gen_random_uuid(), group_id, $2, 'test' from made returning group_id as "groupId"`,
        [tokenHash(token), name],
      );
      const [row] = rows;
      if (row === undefined) throw new Error(`the group ${name} was not made`);
      return {groupId: row.groupId, token};
    },
    attack: (attack, onBegun) => carryOut<Casualties>({do: 'attack', ...attack}, onBegun),
    live: (innocence) => carryOut<Experience>({do: 'live', ...innocence}, () => undefined),
    async close() {
      const codes = await Promise.all([adminApi, deviceApi, worker].map(({process}) => process.stop()));
      const connection = openBrokerConnection({
        address: () => Promise.resolve({...broker, ...credentials}),
        name: prefix,
        log,
        random: Math.random,
      });
      await removeQueues(connection, brokerNames(prefix));
      await connection.close();
      await shards.close();
      await rm(folder, {recursive: true});
      if (codes.some((code) => code !== 0)) throw new Error(`services ended with ${codes.join(', ')}`);
    },
  };
};

/** Runs a piece of load in a process of its own. @throws Error with what it said when it fails */
const carryOut = async <T>(load: Load, onBegun: () => void): Promise<T> => {
  const program = join(import.meta.dirname, 'processes', 'load.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(load)], {stdio: ['ignore', 'pipe', 'pipe']});
  let [out, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (text === BEGUN) onBegun();
    said = (said + text).slice(-4_000);
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`the load ended with ${code ?? 'a signal'}: ${said}`);
  // Printed by processes/load.ts, which was asked for this.
  return JSON.parse(out) as T;
};

const removeQueues = async (connection: ReturnType<typeof openBrokerConnection>, names: BrokerNames): Promise<void> => {
  const channel = await (await connection.ready()).createChannel();
  const queues = [
    ...QUEUE_PRIORITIES.flatMap((priority) => [
      names.requests.queue(priority),
      ...Array.from({length: PARTITIONS}, (_, partition) => names.batches.queue(partition, priority)),
    ]),
    ...RETRY_RUNGS.map((rung) => names.retry.queue(rung)),
    ...[names.parked.queue(0), names.requests.later.queue, names.suspects.queue, names.unreadable.queue],
  ];
  const exchanges = [
    ...RETRY_RUNGS.map((rung) => names.retry.exchange(rung)),
    ...[names.batches, names.parked, names.requests, names.requests.later, names.suspects].map(
      ({exchange}) => exchange,
    ),
  ];
  for (const queue of queues) await channel.deleteQueue(queue);
  for (const exchange of exchanges) await channel.deleteExchange(exchange);
  await channel.close();
};

export const lootOf = (devices: readonly HostileDevice[], tokens: readonly string[]): Loot => ({
  devices: devices.map(({deviceId, secret}) => ({deviceId, secret})),
  tokens,
});
