/** The baseline as a process. Its addresses come from the benchmark that starts it. */
import {connect} from 'amqplib';
import {Redis} from 'ioredis';
import knex from 'knex';
import {z} from 'zod';
import {createSeedApp} from './app.ts';

const env = z
  .object({
    SEED_PORT: z.coerce.number().int(),
    SEED_POSTGRES_URL: z.url(),
    SEED_AMQP_URL: z.url(),
    SEED_REDIS_URL: z.url(),
  })
  .parse(process.env);

const exchange = `pisync-bench-seed-${process.pid}`;
const db = knex({client: 'pg', connection: env.SEED_POSTGRES_URL, pool: {min: 2, max: 10}});
const redis = new Redis(env.SEED_REDIS_URL);
const broker = await connect(env.SEED_AMQP_URL);
const channel = await broker.createChannel();
await channel.assertExchange(exchange, 'topic', {durable: true});
// Nobody reads the events here; the bound keeps a long run from filling the broker.
await channel.assertQueue(exchange, {durable: true, maxLength: 10_000});
await channel.bindQueue(exchange, exchange, 'sync.*');
const server = createSeedApp({db, redis, channel, exchange, now: () => new Date()}).listen(env.SEED_PORT, '127.0.0.1');

process.once('SIGTERM', () => {
  void (async () => {
    server.closeAllConnections();
    server.close();
    await channel.deleteQueue(exchange);
    await channel.deleteExchange(exchange);
    await broker.close();
    redis.disconnect();
    await db.destroy();
    process.exit(0);
  })();
});
