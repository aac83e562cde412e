import {describe, expect, test} from '@jest/globals';
import {SimulatedRegion} from '../../testing/simulated-region.ts';

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
    live.settle();
    expect(connectionsOf(live)).toBe(600);
  });
});
