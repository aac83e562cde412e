import {afterEach, beforeEach} from '@jest/globals';
import {dayOf} from '@pisync/core/shards/partitions';
import {describeShardStore} from '@pisync/worker/testing/shard-store-contract';
import {createProcess} from '../processes/process.ts';
import {createRandom} from '../random.ts';
import {createScheduler} from '../scheduler.ts';
import {createStory} from '../story.ts';
import {createShardClient} from './client.ts';
import {createDatabase} from './database.ts';
import {createSimulatedStore} from './shard-store.ts';

let isOver = false;
let running: Promise<void>;
let bench: ReturnType<typeof open>;

/** A shard whose time passes by itself, as fast as it can. */
const open = () => {
  const scheduler = createScheduler();
  const random = createRandom(1);
  const database = createDatabase({name: 'shard', scheduler, random, story: createStory(false, scheduler.now)});
  database.tables().days.add(dayOf(Date.now()));
  const process = createProcess({name: 'test', scheduler, startMs: Date.now(), clock: {offsetMs: 0}});
  const client = createShardClient({process, database, scheduler, random, breakage: () => 0});
  return {scheduler, database, store: createSimulatedStore({client: () => client, now: Date.now})};
};

beforeEach(() => {
  isOver = false;
  bench = open();
  const {scheduler} = bench;
  const tick = (): void => {
    if (!isOver) scheduler.after(1, tick);
  };
  tick();
  running = scheduler.run(Infinity, () => isOver);
});
afterEach(async () => {
  isOver = true;
  await running;
});

describeShardStore(() => ({
  store: bench.store,
  enrol() {
    const device = {deviceId: '00000000-0000-5000-8000-000000000000', deviceKey: 1, slot: 0};
    bench.database.tables().states.set(device.deviceKey, {
      ...{
        deviceId: device.deviceId,
        epoch: 1,
        numbers: {through: 0, ahead: []},
        stateEpoch: 0,
        stateSeq: 0,
        recordsTotal: 0,
        syncsTotal: 0,
      },
    });
    return Promise.resolve(device);
  },
}));
