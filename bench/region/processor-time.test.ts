import {expect, test} from '@jest/globals';
import {forgetInherited, microsPerUnit, partOf, podCgroupOf} from './processor-time.ts';

const pod = '2:cpuacct:/pisync/n1/kubepods/burstable/pod1b2c/abc\n0::/\n';
const host = '2:cpuacct:/pisync/cp/sys\n';

test.each([
  ['device-api', {name: 'node', argv: ['node', '/app/main.mjs', 'device-api'], cgroup: pod}],
  ['operator', {name: 'node', argv: ['node', '/app/main.mjs'], cgroup: pod}],
  ['postgres', {name: 'postgres', argv: ['postgres: walwriter'], cgroup: pod}],
  ['rabbitmq', {name: 'beam.smp', argv: ['/usr/lib/erlang/bin/beam.smp'], cgroup: pod}],
  ['kubernetes', {name: 'kube-apiserver', argv: ['/bin/kube-apiserver'], cgroup: host}],
  ['kubernetes', {name: 'kube-apiserver', argv: ['/bin/kube-apiserver'], cgroup: pod}],
  ['envoy', {name: 'envoy', argv: ['envoy'], cgroup: host}],
  // Whoever runs beside the cluster, and a shell that says nothing of its pod.
  [undefined, {name: 'node', argv: ['node', 'worker'], cgroup: '0::/user.slice'}],
  [undefined, {name: 'kubectl', argv: ['kubectl', 'get'], cgroup: host}],
  [undefined, {name: 'pause', argv: ['/pause'], cgroup: pod}],
  [undefined, {name: 'sh', argv: ['sh', '-c', 'sleep 1'], cgroup: pod}],
])('%s is told by name, arguments and control group', (part, facts) => {
  expect(partOf(facts)).toBe(part);
});

test.each([
  ['version 1', pod, {controllers: 'cpuacct', path: '/pisync/n1/kubepods/burstable/pod1b2c'}],
  [
    'version 1 beside processors',
    '4:cpu,cpuacct:/kubepods/pod7/c\n1:name=systemd:/kubepods/pod7/c\n',
    {controllers: 'cpu,cpuacct', path: '/kubepods/pod7'},
  ],
  [
    'version 2 under systemd',
    '0::/kubelet.slice/kubepods.slice/kubepods-pod7_8.slice/cri-abc.scope\n',
    {controllers: '', path: '/kubelet.slice/kubepods.slice/kubepods-pod7_8.slice'},
  ],
  ['no pod', host, undefined],
])("finds the pod's control group: %s", (_what, text, expected) => {
  expect(podCgroupOf(text)).toEqual(expected);
});

test('time is shared out over units, and what nobody is known to have used is told as other', () => {
  const before = new Map([
    ['machine', 1000],
    ['worker', 100],
  ]);
  const after = new Map([
    ['machine', 11_000],
    ['worker', 2100],
    ['postgres', 3000],
  ]);
  expect(microsPerUnit(before, after, 1000, 10)).toEqual({worker: 200, postgres: 300, load: 100, other: 400});
});

test('a process whose time its parent has inherited is not counted beside it', () => {
  const used = new Map([
    ['forwarder', {part: 'kubernetes', micros: 900, parent: '1'}],
    ['ended', {part: 'kubernetes', micros: 300, parent: 'forwarder'}],
    ['orphan', {part: 'kubernetes', micros: 70, parent: '1'}],
    ['/pods/ended', {part: 'worker', micros: 5}],
  ]);
  forgetInherited(used, new Set(['forwarder']));
  expect([...used.keys()]).toEqual(['forwarder', 'orphan', '/pods/ended']);
});
