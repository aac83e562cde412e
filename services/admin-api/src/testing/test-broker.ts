import {randomBytes} from 'node:crypto';
import {type BrokerAddress, type BrokerConnection, openBrokerConnection} from '@pisync/core/broker/connection';
import {type BrokerNames, brokerNames, QUEUE_PRIORITIES, RETRY_RUNGS} from '@pisync/core/broker/names';
import {silentLog} from './silent-log.ts';

/** Names of its own on the test server's broker, so that tests do not meet. */
export interface TestBroker {
  readonly prefix: string;
  readonly names: BrokerNames;
  readonly partitions: number;
  readonly address: BrokerAddress;
  readonly connection: BrokerConnection;
  /** Deletes everything that was declared under the names. */
  close(): Promise<void>;
}

const VARIABLE = 'PISYNC_TEST_AMQP_URL';

const addressOf = (): BrokerAddress => {
  const text = process.env[VARIABLE];
  if (text === undefined || text === '') throw new Error(`${VARIABLE} is not set: it names a RabbitMQ for tests`);
  const url = new URL(text);
  return {
    host: url.hostname,
    port: Number(url.port === '' ? '5672' : url.port),
    vhost: url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : '/',
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
};

export const openTestBroker = (partitions: number): TestBroker => {
  const address = addressOf();
  const prefix = `test-${randomBytes(5).toString('hex')}`;
  const names = brokerNames(prefix);
  const connection = openBrokerConnection({
    address: () => Promise.resolve(address),
    name: prefix,
    log: silentLog,
    random: Math.random,
  });
  return {
    prefix,
    names,
    partitions,
    address,
    connection,
    async close() {
      const channel = await (await connection.ready()).createChannel();
      for (const priority of QUEUE_PRIORITIES) {
        await channel.deleteQueue(names.requests.queue(priority));
        for (let partition = 0; partition < partitions; partition++) {
          await channel.deleteQueue(names.batches.queue(partition, priority));
        }
      }
      for (const rung of RETRY_RUNGS) {
        await channel.deleteQueue(names.retry.queue(rung));
        await channel.deleteExchange(names.retry.exchange(rung));
      }
      await channel.deleteExchange(names.batches.exchange);
      await channel.deleteExchange(names.requests.exchange);
      await channel.deleteExchange(names.parked.exchange);
      await connection.close();
    },
  };
};
