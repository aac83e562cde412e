import {type Clock} from '../kube/clock.ts';
import {type KubeObject} from '../kube/object.ts';
import {type Children} from './children.ts';
import {forgetGone} from './facts.ts';
import {KINDS} from './kinds.ts';

/**
 * For how long StatefulSets have had fewer pods than they want. One whose pod is replaced has none for a moment, one whose pod the server refuses has none for
 * long, and nothing in a StatefulSet tells the two apart.
 */
export class MissingPods {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** Since when, in monotonic ms, by the StatefulSet's name; by the region's uid. */
  readonly #since = new Map<string, ReadonlyMap<string, number>>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** In ms, by the StatefulSet's name. `regions`: all that there are; the others are forgotten. */
  agesMs(
    {metadata: {uid}}: KubeObject,
    children: Children,
    regions: readonly KubeObject[],
  ): ReadonlyMap<string, number> {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#since.get(uid);
    const since = new Map(
      children.all
        .filter(({kind, metadata}) => kind === KINDS.statefulSet.kind && children.lacksPods(metadata.name))
        .map(({metadata: {name}}) => [name, known?.get(name) ?? nowMs]),
    );
    if (since.size === 0) this.#since.delete(uid);
    else this.#since.set(uid, since);
    forgetGone(this.#since, uid, regions);
    return new Map([...since].map(([name, ms]) => [name, nowMs - ms]));
  }
}
