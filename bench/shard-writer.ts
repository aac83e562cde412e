/** How fast the worker's shard writer is, beside a COPY that carries the same rows into the same table and asks nothing. */
import {createHash, randomUUID} from 'node:crypto';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {dayOf} from '@pisync/core/shards/partitions';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {type Batch} from '@pisync/worker/apply/batch';
import {parseContent} from '@pisync/worker/apply/parse';
import {createPgShardStore} from '@pisync/worker/apply/pg-shard-store';
import {writeBatches} from '@pisync/worker/apply/shard-writer';
import pg from 'pg';
import {from as copyFrom} from 'pg-copy-streams';
import {type BenchDevice, bodyOf, enrolDevices, RECORDS_PER_SYNC, recordsOf} from './devices.ts';
import {type Sample, time} from './measure.ts';

export interface WriterBench {
  /** Applied records a second with so many windows at work, each a connection of its own. */
  readonly write: (windows: number) => Promise<Sample>;
  /** Rows a second of one COPY over one connection. */
  readonly copy: () => Promise<Sample>;
  readonly shards: TestShards;
  close(): Promise<void>;
}

/** As the worker fills its windows: up to 1000 records. */
const BATCHES_PER_WINDOW = 1000 / RECORDS_PER_SYNC;
/** Ten windows go by before a device comes again, so windows at work never wait for each other's rows. */
const DEVICES = 10 * BATCHES_PER_WINDOW;
const COPY_COLUMNS = 'device_key, epoch, batch_seq, ordinal, seq, kind, device_time, data, received_day, received_at';

interface Received {
  readonly device: BenchDevice;
  readonly number: number;
  readonly batchSeq: number;
}

/** Two databases with one schema, so that both sides fill an index of the same size. `batches` are those of one sample. */
export const openWriterBench = async (batches: number): Promise<WriterBench> => {
  const written = await createTestShards({shards: 1});
  const copied = await createTestShards({shards: 1});
  const devices = await enrolDevices(written.shards, DEVICES);
  const options = {store: createPgShardStore(written.shards, Date.now), now: Date.now, newId: randomUUID};
  let nextWritten = 0;
  let nextCopied = 0;

  const take = (first: number): readonly Received[] =>
    Array.from({length: batches}, (_, index) => {
      const number = (first + index) % DEVICES;
      const device = devices[number];
      if (device === undefined) throw new RangeError(`there is no device ${number}`);
      return {device, number, batchSeq: Math.floor((first + index) / DEVICES) + 1};
    });

  const write = async (windows: number): Promise<Sample> => {
    const nowMs = Date.now();
    const received = take(nextWritten).map(({device, number, batchSeq}) => {
      const payload = Buffer.from(bodyOf(number, batchSeq, nowMs));
      return {device, batchSeq, payload, contentHash: createHash('sha256').update(payload).digest()};
    });
    nextWritten += batches;
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < received.length) {
        const some = received.slice(next, next + BATCHES_PER_WINDOW);
        next += BATCHES_PER_WINDOW;
        // Reading the body is the worker's work too, so it is inside the clock.
        const window = some.map(({device, batchSeq, payload, contentHash}): Batch => ({
          deviceId: device.deviceId,
          deviceKey: device.deviceKey,
          slot: device.slot,
          epoch: 1,
          batchSeq,
          contentHash,
          receivedAtMs: nowMs,
          receivedDay: dayOf(nowMs),
          mode: 'delta',
          reason: 'scheduled',
          payload,
          content: parseContent(payload, {bad: []}),
        }));
        const verdict = await writeBatches(options, 0, window);
        if (verdict.kind !== 'done' || verdict.value.applied.length !== window.length) {
          throw new Error(`the shard writer did not apply all of a window: ${JSON.stringify(verdict).slice(0, 200)}`);
        }
      }
    };
    return time([], async () => {
      await Promise.all(Array.from({length: windows}, work));
      return received.length * RECORDS_PER_SYNC;
    });
  };

  const copy = async (): Promise<Sample> => {
    const nowMs = Date.now();
    const [day, receivedAt] = [dayOf(nowMs), new Date(nowMs).toISOString()];
    const received = take(nextCopied);
    nextCopied += batches;
    // The text is made before the clock starts: COPY is given its best case.
    const chunks = received.map(({device, number, batchSeq}) =>
      Buffer.from(
        recordsOf(number, batchSeq, nowMs)
          .map(({s, k, t, d}, ordinal) =>
            [
              device.deviceKey,
              1,
              batchSeq,
              ordinal,
              s,
              k,
              new Date(t).toISOString(),
              JSON.stringify(d),
              day,
              receivedAt,
            ].join('\t'),
          )
          .join('\n') + '\n',
      ),
    );
    // A connection of its own: those of the shards send statements without waiting, which a COPY cannot share.
    const client = new pg.Client(copied.target(0));
    await client.connect();
    try {
      return await time([], async () => {
        await pipeline(Readable.from(chunks), client.query(copyFrom(`copy record (${COPY_COLUMNS}) from stdin`)));
        return received.length * RECORDS_PER_SYNC;
      });
    } finally {
      await client.end();
    }
  };

  return {
    write,
    copy,
    shards: written,
    async close() {
      await written.close();
      await copied.close();
    },
  };
};
