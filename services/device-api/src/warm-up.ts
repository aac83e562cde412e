import {withTimeout} from '@pisync/core/lifecycle/lifecycle';

export interface WarmUpOptions {
  /** Asks one shard something; each call that waits at the same time takes a connection of its own. */
  readonly ask: (shardId: number) => Promise<unknown>;
  readonly shardIds: readonly number[];
  readonly patienceMs: number;
  readonly onFault: (error: unknown) => void;
}

/** Of the eight that a pool may open: a sign-in costs the server some 10 ms of CPU. */
const CONNECTIONS = 2;

/**
 * Opens the connections that the first devices would otherwise wait for, each with a sign-in, all at once and on a machine that is
 * busy replacing pods. Nobody has to answer: a shard that is away must not keep the devices of the others waiting. Never fails.
 */
export const warmUp = async ({ask, shardIds, patienceMs, onFault}: WarmUpOptions): Promise<void> => {
  const asked = shardIds.flatMap((id) =>
    Array.from({length: CONNECTIONS}, () =>
      withTimeout(ask(id), patienceMs, `shard ${id} did not answer within ${patienceMs} ms of the start`),
    ),
  );
  for (const outcome of await Promise.allSettled(asked)) {
    if (outcome.status === 'rejected') onFault(outcome.reason);
  }
};
