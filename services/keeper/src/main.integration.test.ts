import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer, type Server} from 'node:http';
import {type AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {type Facts, FACTS_KEY, factsSchema} from '@pisync/contract/facts';
import {openBrokerConnection} from '@pisync/core/broker/connection';
import {brokerNames} from '@pisync/core/broker/names';
import {createLogger} from '@pisync/core/telemetry/logger';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {serverAddress} from '@pisync/core/testing/server-address';
import {freePort, startProcess} from '@pisync/core/testing/service-process';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';

// Servers that others also use answer slowly at times.
jest.setTimeout(120_000);

/** What an operator counts on. */
const KNOWN_WITHIN_MS = 30_000;

let bench: TestShards;
let folder: string;
let broker: MuteProxy;
let apiServer: Server;
/** The last that the keeper wrote. */
let facts: Facts | undefined;
const prefix = `test-${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  bench = await createTestShards({shards: 1});
  folder = await mkdtemp(join(tmpdir(), 'pisync-keeper-'));
  const [amqp, redis] = [serverAddress('PISYNC_TEST_AMQP_URL'), serverAddress('PISYNC_TEST_REDIS_URL')];
  broker = await openMuteProxy(amqp);
  apiServer = createServer((request, response) => {
    void text(request).then((body) => {
      // What the keeper applies.
      const {data} = JSON.parse(body) as {readonly data: Readonly<Record<string, string>>};
      const told = data[FACTS_KEY];
      if (told !== undefined) facts = factsSchema.parse(JSON.parse(told));
      response.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(apiServer, 'listening');
  const put = async (path: string, content: string): Promise<void> => {
    await mkdir(join(folder, path, '..'), {recursive: true});
    await writeFile(join(folder, path), content);
  };
  await put('account/token', 'x');
  await put(
    'topology.json',
    JSON.stringify({
      ...bench.topology,
      broker: {host: '127.0.0.1', port: broker.port, vhost: '/', partitions: 1, replicas: 1},
      redis: {host: redis.hostname, port: Number(redis.port)},
    }),
  );
  await mkdir(join(bench.secretsDir, 'rabbitmq'));
  for (const key of ['username', 'password'] as const) {
    await writeFile(join(bench.secretsDir, 'rabbitmq', key), decodeURIComponent(amqp[key]));
  }
});

afterAll(async () => {
  const {hostname, port, username, password} = serverAddress('PISYNC_TEST_AMQP_URL');
  const user = {username: decodeURIComponent(username), password: decodeURIComponent(password)};
  const connection = openBrokerConnection({
    address: () => Promise.resolve({host: hostname, port: Number(port), vhost: '/', ...user}),
    name: 'cleaning up',
    log: createLogger({level: 'silent', service: 'keeper', pod: 'test'}),
    random: Math.random,
  });
  const channel = await (await connection.ready()).createChannel();
  await channel.deleteQueue(brokerNames(prefix).probe.queue);
  await channel.close();
  await connection.close();
  broker.close();
  apiServer.closeAllConnections();
  apiServer.close();
  await bench.close();
  await rm(folder, {recursive: true});
});

/**
 * A frame of a method of the class `connection`, on channel 0
 * (https://www.rabbitmq.com/docs/connection-blocked, https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf 2.3.5).
 */
const connectionFrame = (method: number, argument = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(11);
  head.writeUInt8(1, 0);
  head.writeUInt32BE(4 + argument.length, 3);
  head.writeUInt16BE(10, 7);
  head.writeUInt16BE(method, 9);
  return Buffer.concat([head, argument, Buffer.of(0xce)]);
};
const REASON = 'low on memory';
const BLOCKED = connectionFrame(60, Buffer.concat([Buffer.of(REASON.length), Buffer.from(REASON)]));
const UNBLOCKED = connectionFrame(61);

test('an alarm of the broker is told within half a minute, and its end as well', async () => {
  const opsPort = await freePort();
  const {port} = apiServer.address() as AddressInfo;
  const keeper = startProcess(new URL('./main.ts', import.meta.url), {
    PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
    PISYNC_SECRETS_DIR: bench.secretsDir,
    PISYNC_OPS_PORT: String(opsPort),
    PISYNC_BROKER_PREFIX: prefix,
    PISYNC_FACTS_CONFIGMAP: 'facts',
    PISYNC_POD_NAMESPACE: 'test',
    PISYNC_API_SERVER: `http://127.0.0.1:${port}`,
    PISYNC_SERVICE_ACCOUNT_DIR: join(folder, 'account'),
  });
  let code: number | null = null;
  try {
    await keeper.ready(opsPort);
    await until(
      'the broker to be well',
      () => facts?.broker,
      (seen) => seen?.ok === true,
    );
    broker.say(BLOCKED);
    const alarmed = await until(
      'the alarm to be told',
      () => facts?.broker,
      (seen) => seen?.ok === false,
      KNOWN_WITHIN_MS,
    );
    expect(alarmed?.reason).toContain(`the broker blocks publishers: ${REASON}`);
    broker.say(UNBLOCKED);
    await until(
      'its end to be told',
      () => facts?.broker,
      (seen) => seen?.ok === true,
      KNOWN_WITHIN_MS,
    );
    expect(facts).toMatchObject({shards: [{id: 0, write: {ok: true}}], cache: {ok: true}});
  } finally {
    code = await keeper.stop();
  }
  expect({code, output: code === 0 ? '' : keeper.output()}).toEqual({code: 0, output: ''});
});
