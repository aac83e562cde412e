import {createInterface} from 'node:readline';
import {type ClusterAccess} from '../../scripts/demo/cluster-access.ts';
import {type PodsSecond} from './report.ts';

/** Follows how many pods of each tier are ready, by one watch. */
export class PodCounts {
  readonly #ready = new Map<string, number>();
  readonly #end: () => void;
  #startMs = performance.now();
  #seen: PodsSecond[] = [];

  constructor(cluster: ClusterAccess) {
    const columns = '-o=jsonpath={.metadata.name} {.status.readyReplicas}{"\\n"}';
    const child = cluster.start([
      'kubectl',
      `--namespace=${cluster.namespace}`,
      'get',
      'deployments',
      '--watch',
      columns,
    ]);
    this.#end = () => void child.kill();
    if (child.stdout === null) return;
    createInterface({input: child.stdout}).on('line', (line) => {
      const [name = '', ready = ''] = line.split(' ');
      this.#ready.set(name, Number(ready));
      this.#note();
    });
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
    this.#end();
  }

  #note(): void {
    const of = (tier: string): number => [...this.#ready].find(([name]) => name.endsWith(tier))?.[1] ?? 0;
    const second = Math.round((performance.now() - this.#startMs) / 100) / 10;
    this.#seen.push({second, deviceApi: of('-device-api'), worker: of('-worker')});
  }
}
