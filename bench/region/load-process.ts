import {type ChildProcess} from 'node:child_process';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {type Percentiles} from '@pisync/agent/fleet/latency';
import {type ClusterAccess} from '../../scripts/demo/cluster-access.ts';
import {
  type Connect,
  type Enrol,
  type LoadAnswer,
  type LoadCommand,
  type LoadResult,
  type Sync,
} from './load/commands.ts';

/** So many take seconds; after a minute a call is given up. */
const ENROLLED_AT_ONCE = 3000;

/** The load generator, which runs in the cluster's network. */
export class LoadProcess {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string, unknown>;
  #said = '';

  constructor(cluster: ClusterAccess) {
    this.#child = cluster.start([process.execPath, join(import.meta.dirname, 'load', 'main.ts')], 'pipe');
    const {stdout, stderr} = this.#child;
    if (stdout === null || stderr === null) throw new Error('the load generator has no output');
    stderr.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-2000)));
    this.#answers = createInterface({input: stdout})[Symbol.asyncIterator]();
  }

  async connect(connect: Omit<Connect, 'do'>): Promise<void> {
    await this.#ask({do: 'connect', ...connect});
  }

  async watch(shardUrls: readonly string[]): Promise<void> {
    await this.#ask({do: 'watch', shardUrls});
  }

  async carryOut(command: Enrol | Sync): Promise<LoadResult> {
    const result = await this.#ask(command);
    if (result === null || !('loadMicros' in result)) throw new Error('the load generator answered without a result');
    return result;
  }

  /** Null where none was looked for. */
  async visible(): Promise<Percentiles | null> {
    const result = await this.#ask({do: 'visible'});
    return result !== null && 'count' in result && result.count > 0 ? result : null;
  }

  /** Devices for later, as fast as the region takes them. @throws Error when it does not take them all */
  async enrol(count: number): Promise<void> {
    for (let left = count; left > 0; left -= ENROLLED_AT_ONCE) {
      const {failed} = await this.carryOut({do: 'enrol', count: Math.min(left, ENROLLED_AT_ONCE), perSecond: null});
      if (failed > 0) throw new Error(`${failed} devices could not be enrolled within a minute`);
    }
  }

  end(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }

  async #ask(command: LoadCommand): Promise<LoadResult | Percentiles | null> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    const next = await this.#answers.next();
    if (next.done === true) throw new Error(`the load generator ended: ${this.#said}`);
    // Written by load/main.ts, which has this type.
    const answer = JSON.parse(next.value) as LoadAnswer;
    if ('error' in answer) throw new Error(answer.error);
    return answer.result;
  }
}
