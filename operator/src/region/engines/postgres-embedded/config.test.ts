import {describe, expect, test} from '@jest/globals';
import {recordOf} from '../../../kube/object.ts';
import {SimulatedRegion} from '../../testing/simulated-region.ts';
import {setClaim} from '../../testing/volume-claims.ts';

const workersOf = (region: SimulatedRegion): string => JSON.stringify(region.find('Deployment', 'eu-worker')?.['spec']);

/** What the running shards were started with, and what the next ones get. */
const connectionsOf = (region: SimulatedRegion): number => {
  const found = /max_connections = '(\d+)'/.exec(JSON.stringify(region.find('ConfigMap', 'eu-postgres')?.['data']));
  return Number(found?.[1]);
};

const restart = (region: SimulatedRegion): void => {
  for (let round = 0; round < 4; round++) {
    region.settle();
    region.makeReady('StatefulSet');
  }
};

const serverConf = (spec: Readonly<Record<string, unknown>>): string => {
  const region = new SimulatedRegion({region: 'eu-west', ...spec});
  region.settle();
  return JSON.stringify(region.find('ConfigMap', 'eu-postgres')?.['data']);
};

test('a value is the same text for the server, whatever is in it', () => {
  const conf = serverConf({postgres: {parameters: {log_line_prefix: String.raw`it's \101 %m`}}});
  expect(conf).toContain(JSON.stringify(String.raw`log_line_prefix = 'it''s \\101 %m'`).slice(1, -1));
});

test.each([
  ['by default', {}, 1024],
  ['of few on a small volume', {postgres: {storage: {size: '1Gi'}}}, 256],
  ['of many in all the day', {capacity: {devices: 1_000_000}}, 1024],
  ['of many in an hour', {capacity: {devices: 1_000_000, syncWindow: {durationMinutes: 60}}}, 2048],
  [
    'of many in an hour on a large volume',
    {capacity: {devices: 1_000_000, syncWindow: {durationMinutes: 60}}, postgres: {storage: {size: '500Gi'}}},
    8192,
  ],
  ['of your own', {postgres: {parameters: {max_wal_size: '3GB'}}}, '3GB'],
])('the log of devices %s has its room', (_what, spec, expected) => {
  expect(serverConf(spec)).toContain(`max_wal_size = '${typeof expected === 'number' ? `${expected}MB` : expected}'`);
});

test('the log has its room by the volume that is there, not by the one that is wished for', () => {
  const capacity = {devices: 1_000_000, syncWindow: {durationMinutes: 60}};
  const postgres = (size: string) => ({shards: 1, storage: {size}});
  const region = new SimulatedRegion({region: 'eu-west', capacity, postgres: postgres('10Gi')}).bringUp();
  setClaim(region, 'volume', '10Gi', '10Gi');
  region.change({capacity, postgres: postgres('500Gi')});
  region.settle();
  expect(JSON.stringify(region.find('ConfigMap', 'eu-postgres')?.['data'])).toContain("max_wal_size = '2048MB'");
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

  test('are there before workers that need them start, and go when no Deployment asks for them', () => {
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
    live.settle();
    expect(connectionsOf(live)).toBe(600);
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
