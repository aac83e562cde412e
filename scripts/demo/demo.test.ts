import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {findHostPid} from './kill.ts';
import {isReady, newsOf, runsImage, type Region} from './region.ts';
import {type DemoReport, renderReport} from './report.ts';

describe('findHostPid', () => {
  const files: Readonly<Record<string, string>> = {
    '/proc/10/cgroup': '0::/pisync/n1/kubepods/pod1/abc\n',
    '/proc/10/status': 'Name:\tnode\nNSpid:\t10\t7\t1\n',
    '/proc/11/cgroup': '0::/pisync/n1/kubepods/pod1/abc\n',
    '/proc/11/status': 'Name:\tchild\nNSpid:\t11\t8\t2\n',
    '/proc/12/cgroup': '0::/pisync/n1/kubepods/pod2/def\n',
    '/proc/12/status': 'Name:\tother\nNSpid:\t12\t9\t1\n',
  };
  const read = (path: string): string => files[path] ?? '';

  test("finds a container's first process among all processes of the host", () => {
    expect(findHostPid('abc', ['self', '11', '12', '10'], read)).toBe(10);
  });

  test('finds nothing for a container that is gone', () => {
    expect(findHostPid('fff', ['10', '11', '12'], read)).toBeUndefined();
  });
});

describe('a region', () => {
  const region = (observedGeneration: number, ready: string): Region => ({
    metadata: {generation: 2},
    spec: {ingress: {host: 'a', adminHost: 'b'}},
    status: {observedGeneration, conditions: [{type: 'Ready', status: ready, reason: 'Why', message: ''}], shards: []},
  });

  test('is Ready only for its newest generation', () => {
    expect([isReady(region(1, 'True')), isReady(region(2, 'False')), isReady(region(2, 'True'))]).toEqual([
      false,
      false,
      true,
    ]);
  });

  test('says each state of a condition once', () => {
    const said = new Map<string, string>();
    expect(newsOf(region(2, 'False'), said)).toHaveLength(1);
    expect(newsOf(region(2, 'False'), said)).toEqual([]);
    expect(newsOf(region(2, 'True'), said)).toHaveLength(1);
  });
});

test.each([
  ['all pods run it', {}, {}, true],
  ['a pod of the old image is left', {}, {replicas: 3}, false],
  ['the controller has not seen the change', {generation: 3}, {}, false],
  ['a pod is not available', {}, {availableReplicas: 1}, false],
] as const)('a rollout in which %s: over is judged', (_what, metadata, status, expected) => {
  const deployment = {
    metadata: {name: 'eu-worker', generation: 2, ...metadata},
    spec: {replicas: 2, template: {spec: {containers: [{image: 'new'}]}}},
    status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2, ...status},
  };
  expect(runsImage(deployment, 'new')).toBe(expected);
  expect(runsImage(deployment, 'other')).toBe(false);
});

test('the report leads to a dashboard that any browser on this machine opens', async () => {
  const region: unknown = parse(
    await readFile(join(import.meta.dirname, '../../docs/examples/region-localhost.yaml'), 'utf8'),
  );
  expect(region).toMatchObject({spec: {ingress: {host: 'eu.sync.localhost', adminHost: 'eu.admin.localhost'}}});
  const report: DemoReport = {
    ...{
      kubernetes: 'v1',
      cluster: 'bare',
      ok: true,
      readySeconds: 1,
      firstSyncSeconds: 1,
      totalSeconds: 1,
      devices: 1,
      batches: 1,
    },
    ...{records: 1, acked: 1, applied: 1, lost: 0, duplicated: 0, unknownApplied: 0, retries: 0, p50Ms: 1, p99Ms: 1},
    ...{acceptP50Ms: 1, acceptP99Ms: 1, acceptMaxMs: 1, kills: []},
  };
  expect(renderReport(report, {forward: 'http://127.0.0.1:8080', adminHost: 'eu.admin.localhost'})).toContain(
    ' http://eu.admin.localhost:8080/\n',
  );
});
