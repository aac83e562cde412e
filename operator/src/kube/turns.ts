import {type Clock} from './clock.ts';

/** Who takes longer keeps nobody waiting any more, and goes on beside the next. */
const LONGEST_TURN_MS = 10_000;

/** Work that is done one after the other, first come, first served. */
export class Turns {
  readonly #clock: Pick<Clock, 'schedule'>;
  #last: Promise<undefined> = Promise.resolve(undefined);

  constructor(clock: Pick<Clock, 'schedule'>) {
    this.#clock = clock;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const {promise, resolve} = Promise.withResolvers<undefined>();
    this.#last = promise;
    await before;
    const cancel = this.#clock.schedule(LONGEST_TURN_MS, () => resolve(undefined));
    try {
      return await work();
    } finally {
      cancel();
      resolve(undefined);
    }
  }
}
