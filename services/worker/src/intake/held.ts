import {type Timers} from '@pisync/core/lifecycle/timers';

/**
 * Publishes again what stays in hand until the broker has confirmed it. An outcome is open until the broker says it or the channel is lost, and while it is open
 * nothing is published a second time: each time would leave a copy, and what is slow would get more and more of them.
 */
export interface Held {
  /**
   * Does `work` for all of `keys`, or waits for what was begun for the first of them and is open still. What has to follow the confirm belongs into `work`, because it
   * may come at any time later. @returns `open` after some seconds, for who wants to look around meanwhile. @throws what `work` threw
   */
  settle(keys: readonly object[], work: () => Promise<unknown>): Promise<'confirmed' | 'open'>;
  isOpen(key: object): boolean;
}

/** Far above what a confirm takes. */
const LOOK_AROUND_MS = 5_000;

export const createHeld = (after: Timers['after']): Held => {
  const open = new WeakMap<object, Promise<unknown>>();

  const begin = (keys: readonly object[], work: () => Promise<unknown>): Promise<unknown> => {
    const outcome = work().finally(() => keys.forEach((key) => open.delete(key)));
    for (const key of keys) open.set(key, outcome);
    return outcome;
  };

  return {
    async settle(keys, work) {
      const [first] = keys;
      const outcome = (first === undefined ? undefined : open.get(first)) ?? begin(keys, work);
      const {promise, resolve} = Promise.withResolvers<'open'>();
      const cancel = after(LOOK_AROUND_MS, () => resolve('open'));
      try {
        return await Promise.race([outcome.then(() => 'confirmed' as const), promise]);
      } finally {
        cancel();
      }
    },
    isOpen: (key) => open.has(key),
  };
};
