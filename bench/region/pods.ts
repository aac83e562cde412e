import {type ChildProcess} from 'node:child_process';
import {createInterface} from 'node:readline';
import {type ClusterAccess} from '../../scripts/demo/cluster-access.ts';
import {type PodsSecond} from './report.ts';

const COLUMNS = '-o=jsonpath={.metadata.name} {.status.readyReplicas}{"\\n"}';
const AGAIN_MS = 500;

/** Follows how many pods of each tier are ready, by a watch that is begun again when it ends, as it does on Ctrl-C. */
export class PodCounts {
  readonly #cluster: ClusterAccess;
  readonly #ready = new Map<string, number>();
  #watching: ChildProcess | undefined;
  #isClosed = false;
  #startMs = performance.now();
  #seen: PodsSecond[] = [];

  constructor(cluster: ClusterAccess) {
    this.#cluster = cluster;
    this.#watch();
  }

  begin(): void {
    this.#startMs = performance.now();
    this.#seen = [];
    this.#note();
  }

  /** Since {@link begin}: each change, and the state at the end. */
  get seen(): readonly PodsSecond[] {
    this.#note();
    return [...this.#seen];
  }

  close(): void {
    this.#isClosed = true;
    this.#watching?.kill();
  }

  #watch(): void {
    if (this.#isClosed) return;
    const {namespace} = this.#cluster;
    const child = this.#cluster.start([
      'kubectl',
      `--namespace=${namespace}`,
      'get',
      'deployments',
      '--watch',
      COLUMNS,
    ]);
    this.#watching = child;
    child.once('close', () => setTimeout(() => this.#watch(), AGAIN_MS).unref());
    if (child.stdout === null) return;
    createInterface({input: child.stdout}).on('line', (line) => {
      const [name = '', ready = ''] = line.split(' ');
      this.#ready.set(name, Number(ready));
      this.#note();
    });
  }

  #note(): void {
    const of = (tier: string): number => [...this.#ready].find(([name]) => name.endsWith(tier))?.[1] ?? 0;
    const second = Math.round((performance.now() - this.#startMs) / 100) / 10;
    this.#seen.push({second, deviceApi: of('-device-api'), worker: of('-worker')});
  }
}
