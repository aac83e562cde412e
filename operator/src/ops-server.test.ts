import {once} from 'node:events';
import {connect} from 'node:net';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {Registry} from 'prom-client';
import {type Verdict} from './kube/health.ts';
import {startOpsServer} from './ops-server.ts';
import {regionMetrics} from './region/metrics.ts';

let ready: Verdict = {ok: true};
const registry = new Registry();
const metrics = regionMetrics(registry);
let server: Awaited<ReturnType<typeof startOpsServer>>;

beforeEach(async () => {
  ready = {ok: true};
  server = await startOpsServer(0, {live: () => ({ok: true}), ready: () => ready, registry});
});
afterEach(() => server.close());

const get = async (path: string): Promise<{readonly status: number; readonly text: string}> => {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return {status: response.status, text: await response.text()};
};

test('answers probes, and says what is not ready', async () => {
  expect(await get('/healthz')).toEqual({status: 200, text: 'ok\n'});
  ready = {ok: false, problems: ['Pod is not listed yet']};
  expect(await get('/readyz')).toEqual({status: 503, text: 'Pod is not listed yet\n'});
  ready = {ok: true, remarks: ['Pod in green: forbidden']};
  expect(await get('/readyz')).toEqual({status: 200, text: 'ok\nPod in green: forbidden\n'});
  expect((await get('/elsewhere')).status).toBe(404);
});

test('exports a region while it exists', async () => {
  const region = {
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'eu', namespace: 'sync', uid: 'a', resourceVersion: '1'},
  };
  const condition = {type: 'Ready', status: 'True' as const, reason: 'Ready', message: 'x', lastTransitionTime: ''};
  metrics.record(region, {
    phase: 'Ready',
    version: {current: '1', target: '1', operator: '1'},
    conditions: [condition],
  });
  const {text} = await get('/metrics');
  expect(text).toContain('pisync_region_info{namespace="sync",region="eu",phase="Ready",version="1"} 1');
  expect(text).toContain('pisync_region_condition{namespace="sync",region="eu",type="Ready",status="True"} 1');
  metrics.record(region, undefined);
  expect((await get('/metrics')).text).not.toContain('region="eu"');
});

test('answers a probe whatever others do with their connections', async () => {
  const held = Array.from({length: 64}, () => connect(server.port, '127.0.0.1').on('error', () => undefined));
  try {
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    const response = await fetch(`http://127.0.0.1:${server.port}/healthz`, {signal: AbortSignal.timeout(3_000)});
    expect([response.status, response.headers.get('connection')]).toEqual([200, 'close']);
  } finally {
    for (const socket of held) socket.destroy();
  }
});
