import {type AppliedNumbers} from '@pisync/worker/apply/applied-numbers';
import {type Batch} from '@pisync/worker/apply/batch';
import {
  type LockedDevice,
  type ShardStore,
  type ShardTransaction,
  type WindowChanges,
} from '@pisync/worker/apply/shard-store';
import {type HintOf, type Mutant} from './mutant.ts';

type Mutate = NonNullable<Mutant['store']>;

/** Changes what a transaction reads or writes. */
const inTransactions =
  (change: (transaction: ShardTransaction, hintOf: HintOf) => ShardTransaction) =>
  (store: ShardStore, hintOf: HintOf): ShardStore => ({
    ...store,
    transaction: (request) =>
      store.transaction({
        ...request,
        work: (transaction) => request.work(change(transaction, hintOf)),
      }),
  });

const writing = (change: (changes: WindowChanges, transaction: ShardTransaction) => WindowChanges): Mutate =>
  inTransactions((transaction) => ({
    ...transaction,
    write: (changes, known, isLast) => transaction.write(change(changes, transaction), known, isLast),
  }));

const stateOf = ({content}: Batch): string | undefined => (content.kind === 'good' ? content.state : undefined);

/** The last one that came with a state wins, however old it is. */
const unguarded: Mutate = writing((changes) => {
  const newest = new Map(
    changes.applied.flatMap((batch) => {
      const json = stateOf(batch);
      return json === undefined ? [] : [[batch.deviceKey, {batch, json}] as const];
    }),
  );
  return {
    ...changes,
    devices: changes.devices.map((device) => {
      const last = newest.get(device.deviceKey)?.batch;
      return last === undefined ? device : {...device, stateEpoch: last.epoch, stateSeq: last.batchSeq};
    }),
    shadows: Array.from(newest, ([deviceKey, {json}]) => ({deviceKey, json})),
  };
});

const unmerged: Mutate = writing((changes, {locked}) => {
  const before = new Map(locked.map((device) => [device.deviceKey, device]));
  const withoutOlder = (numbers: AppliedNumbers, old: LockedDevice | undefined): AppliedNumbers => ({
    through: numbers.through,
    ahead: numbers.ahead.filter(
      (range) => !(old?.numbers.ahead ?? []).some(([from, to]) => from === range[0] && to === range[1]),
    ),
  });
  return {
    ...changes,
    devices: changes.devices.map((device) => ({
      ...device,
      numbers: withoutOlder(device.numbers, before.get(device.deviceKey)),
    })),
  };
});

/** What the cache says counts, where it says something. */
const hinted: Mutate = inTransactions((transaction, hintOf) => ({
  ...transaction,
  locked: transaction.locked.map((device) => {
    const hint = hintOf(device.deviceKey);
    return hint?.epoch === device.epoch ? {...device, numbers: {through: hint.through, ahead: []}} : device;
  }),
}));

/** Whatever comes is the answer to what was asked. */
const believing: NonNullable<Mutant['reply']> = (call, reply) => {
  // A page of a proxy is no answer to anything.
  if (reply.kind === 'failed' || !reply.body.startsWith('{')) return reply;
  const nonce = new URL(call.path, call.baseUrl).searchParams.get('nonce');
  const {deviceId} = /ps_(?<deviceId>[^.]+)/.exec(call.headers.authorization ?? '')?.groups ?? {};
  const {epoch} = JSON.parse(call.body?.toString() ?? '{}') as {epoch?: string};
  // Of a body that device-api made.
  const body = JSON.parse(reply.body) as {deviceId?: string};
  return {
    ...reply,
    body: JSON.stringify({...body, nonce, ...(call.path.startsWith('/v1/sync') ? {deviceId, epoch} : {})}),
  };
};

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'ack before the commit',
    delivery(delivery) {
      delivery.ack();
      return {...delivery, ack: () => undefined, requeue: () => undefined};
    },
  },
  {
    name: 'an answer without the confirm',
    publisher: ({publish}) => ({
      publish(message) {
        publish(message).catch(() => undefined);
        return Promise.resolve();
      },
    }),
  },
  {name: 'a deadline for what is published from hand', workerConfirmTimeoutMs: 5_000},
  {name: 'answers that are bound to no call', reply: believing},
  {name: 'a state that is not guarded', store: unguarded},
  {name: 'receipts and records in two transactions', isSplit: true},
  {name: 'the position from a hint', store: hinted},
  {name: 'no rows of replaced epochs', store: writing((changes) => ({...changes, epochs: []}))},
  {name: 'no row lock', locking: 'none'},
  {name: 'the position read before the lock', locking: 'position-first'},
  {name: '`ahead` not merged', store: unmerged},
  {name: '`device_epoch` read in the lock statement', locking: 'epochs-joined'},
  {name: '`device_epoch` read before the lock', locking: 'epochs-first'},
];
