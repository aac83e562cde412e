import {setImmediate} from 'node:timers/promises';
import {isLostConnection} from './database-fault.ts';

/**
 * Runs what may run twice, and once more when the connection that it had was lost under it: a server that was restarted, an evicted pod and a cut network
 * end all idle connections, and whoever takes one before its end is known would pay for it. Who asks has a deadline of its own.
 *
 * @param work takes its connection from a pool, and does no harm when it is run again after it was done
 */
export const onceMore = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (!isLostConnection(error)) throw error;
    // Others were lost at the same moment. Sockets are read before this comes, so the pool knows of them.
    await setImmediate();
    return work();
  }
};
