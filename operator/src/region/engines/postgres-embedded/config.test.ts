import {describe, expect, test} from '@jest/globals';
import {recordOf} from '../../../kube/object.ts';
import {SimulatedRegion} from '../../testing/simulated-region.ts';

const workersOf = (region: SimulatedRegion): string => JSON.stringify(region.find('Deployment', 'eu-worker')?.['spec']);

/** What the running shards were started with, and what the next ones get. */
const connectionsOf = (region: SimulatedRegion): number => {
  const found = /max_connections = '(\d+)'/.exec(JSON.stringify(region.find('ConfigMap', 'eu-postgres')?.['data']));
  return Number(found?.[1]);
};

const afterSettling = (region: SimulatedRegion): number => {
  region.settle();
  return connectionsOf(region);
};

const reportWorkers = (
  region: SimulatedRegion,
  pods: {readonly replicas: number; readonly updatedReplicas: number; readonly availableReplicas?: number},
): void => {
  const observedGeneration = region.find('Deployment', 'eu-worker')?.metadata.generation;
  region.set('Deployment', 'eu-worker', {observedGeneration, availableReplicas: 16, ...pods});
};

const PODS = 'v1/Pod/sync';
const ENDING = `${PODS}/eu-worker-ending`;

/** A pod that its Deployment does not count any more. */
const endingWorker = (region: SimulatedRegion, name = 'eu-worker-ending'): void => {
  region.objects.set(`${PODS}/${name}`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'sync',
      uid: name,
      resourceVersion: '1',
      labels: region.find('Deployment', 'eu-worker')?.metadata.labels ?? {},
      deletionTimestamp: region.now.toISOString(),
    },
    status: {phase: 'Running'},
  });
};

const restart = (region: SimulatedRegion): void => {
  for (let round = 0; round < 4; round++) {
    region.settle();
    region.makeReady('StatefulSet');
  }
};

const serverConf = (parameters: Readonly<Record<string, string>>): string => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {parameters}});
  region.settle();
  return JSON.stringify(region.find('ConfigMap', 'eu-postgres')?.['data']);
};

test('a value is the same text for the server, whatever is in it', () => {
  const conf = serverConf({log_line_prefix: String.raw`it's \101 %m`});
  expect(conf).toContain(JSON.stringify(String.raw`log_line_prefix = 'it''s \\101 %m'`).slice(1, -1));
});

describe('connections of a shard', () => {
  const region = 'eu-west';

  test.each([
    ['the defaults', {}, 600],
    ['few pods', {deviceApi: {autoscaling: {enabled: false}}, workers: {autoscaling: {enabled: false}}}, 300],
    ['a few more pods', {adminApi: {replicas: 4}, workers: {autoscaling: {maxReplicas: 18}}}, 600],
    ['twice the workers', {workers: {autoscaling: {maxReplicas: 32}}}, 1200],
    [
      'the most of everything',
      {deviceApi: {autoscaling: {maxReplicas: 64}}, workers: {concurrency: 32, autoscaling: {maxReplicas: 64}}},
      4800,
    ],
    ['one of your own', {postgres: {parameters: {max_connections: '5000'}}}, 5000],
  ])('follow %s', (_what, spec, expected) => {
    expect(connectionsOf(new SimulatedRegion({region, ...spec}).bringUp())).toBe(expected);
  });

  test('are there before workers that need them start, and go after those have ended', () => {
    const live = new SimulatedRegion({region}).bringUp();
    const before = workersOf(live);
    live.change({workers: {concurrency: 32}});
    live.settle();
    expect({connections: connectionsOf(live), unchanged: workersOf(live) === before}).toEqual({
      connections: 1200,
      unchanged: true,
    });
    restart(live);
    expect(workersOf(live)).toContain('"value":"32"');
    live.makeReady('Deployment');
    live.change({workers: {concurrency: 8}});
    live.pass();
    expect({connections: connectionsOf(live), workers: workersOf(live)}).toEqual({
      connections: 1200,
      workers: expect.stringContaining('"value":"8"'),
    });
    // The Deployment's report is still of the template before.
    expect(afterSettling(live)).toBe(1200);
    reportWorkers(live, {replicas: 17, updatedReplicas: 1});
    expect(afterSettling(live)).toBe(1200);
    reportWorkers(live, {replicas: 16, updatedReplicas: 16});
    endingWorker(live);
    expect(afterSettling(live)).toBe(1200);
    live.objects.delete(ENDING);
    expect(afterSettling(live)).toBe(600);
    expect(JSON.stringify(live.find('Deployment', 'eu-worker')?.metadata)).not.toContain('former-concurrency');
  });

  test('of your own go after the pods that use them have ended', () => {
    const of = (replicas: number, max_connections: string) => ({
      workers: {autoscaling: {enabled: false}, replicas},
      postgres: {parameters: {max_connections}},
    });
    const live = new SimulatedRegion({region, ...of(64, '1200')}).bringUp();
    reportWorkers(live, {replicas: 64, updatedReplicas: 64});
    live.change(of(4, '400'));
    live.pass();
    expect([connectionsOf(live), afterSettling(live)]).toEqual([1200, 1200]);
    reportWorkers(live, {replicas: 4, updatedReplicas: 4});
    for (let number = 0; number < 60; number++) endingWorker(live, `eu-worker-${String(number)}`);
    expect(afterSettling(live)).toBe(1200);
    for (let number = 0; number < 60; number++) live.objects.delete(`${PODS}/eu-worker-${String(number)}`);
    expect(afterSettling(live)).toBe(400);
  });

  test('of your own go at once where a shard does not start with them', () => {
    const of = (concurrency: number, max_connections: string) => ({
      workers: {concurrency},
      postgres: {parameters: {max_connections}},
    });
    const live = new SimulatedRegion({region, ...of(32, '5000')}).bringUp();
    live.set('StatefulSet', 'eu-pg-0', {observedGeneration: 1_000, replicas: 1});
    live.change(of(8, '600'));
    live.pass();
    expect(connectionsOf(live)).toBe(600);
  });

  test('go at once where workers cannot be replaced because a shard is down', () => {
    const live = new SimulatedRegion({region, workers: {concurrency: 32}}).bringUp();
    live.set('StatefulSet', 'eu-pg-0', {observedGeneration: 1_000, replicas: 1});
    reportWorkers(live, {replicas: 16, updatedReplicas: 16, availableReplicas: 0});
    live.change({workers: {concurrency: 8}});
    live.settle();
    reportWorkers(live, {replicas: 17, updatedReplicas: 1, availableReplicas: 0});
    expect(afterSettling(live)).toBe(600);
  });

  test('stay when somebody scales a Deployment by hand, and when more pods run than the spec has by now', () => {
    const live = new SimulatedRegion({region, workers: {autoscaling: {maxReplicas: 32}}}).bringUp();
    const scaleTo = (replicas: number): number => {
      const found = live.find('Deployment', 'eu-worker');
      if (found === undefined) throw new Error('no Deployment');
      live.objects.set('apps/v1/Deployment/sync/eu-worker', {
        ...found,
        spec: {...recordOf(found['spec']), replicas},
      });
      live.settle();
      return connectionsOf(live);
    };
    const templateOf = () => JSON.stringify(live.find('StatefulSet', 'eu-pg-0')?.['spec']);
    const before = templateOf();
    expect([200, 32].map(scaleTo)).toEqual([1200, 1200]);
    expect(templateOf()).toBe(before);
    live.change({workers: {}});
    live.settle();
    expect([32, 16].map(scaleTo)).toEqual([1200, 600]);
  });
});
