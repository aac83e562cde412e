import {describe, expect, test} from '@jest/globals';
import {Children} from './children.ts';
import {problemOf} from './problems.ts';

const pod = (status: object, name = 'eu-worker-a') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {name, uid: name, resourceVersion: '1', labels: {'app.kubernetes.io/component': 'worker'}},
  status,
});

const container = (status: object) => ({containerStatuses: [{name: 'worker', image: 'pisync:1', ...status}]});

test.each([
  [
    'a bad image while it is pulled',
    container({state: {waiting: {reason: 'ErrImagePull', message: 'dial tcp: 3rd attempt'}}}),
  ],
  ['a bad image in between', container({state: {waiting: {reason: 'ImagePullBackOff', message: 'Back-off 40s'}}})],
])('%s has the same words', (_what, status) => {
  expect(problemOf(new Children([pod(status)]), 'worker')).toEqual({
    reason: 'ImagePullBackOff',
    message: 'pod eu-worker-a: image pisync:1 cannot be pulled',
  });
});

test.each([
  ['while it runs', {}],
  ['while it waits', {waiting: {reason: 'CrashLoopBackOff', message: 'back-off 5m0s'}}],
])('a process that ends again and again has the same words %s', (_what, state) => {
  const status = container({state, restartCount: 3, lastState: {terminated: {exitCode: 1, reason: 'Error'}}});
  expect(problemOf(new Children([pod(status)]), 'worker')).toEqual({
    reason: 'CrashLoopBackOff',
    message:
      'pod eu-worker-a: it ends again and again, last with exit code 1 (Error); see kubectl logs eu-worker-a --previous',
  });
});

describe('a container that was restarted often and is not ready', () => {
  const AT = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute)).toISOString();
  const restarted = (life: {startedAt: string; finishedAt: string}, unreadySince: string) => ({
    ...container({
      restartCount: 3,
      state: {running: {startedAt: AT(60)}},
      lastState: {terminated: {exitCode: 1, reason: 'Error', ...life}},
    }),
    conditions: [{type: 'Ready', status: 'False', lastTransitionTime: unreadySince}],
  });
  const short = {startedAt: AT(58), finishedAt: AT(59)};
  test.each([
    ['loops, when it was not ready since its last start', restarted(short, AT(59)), 'CrashLoopBackOff'],
    ['does not, when it was ready for weeks since then', restarted(short, AT(40_000)), undefined],
    ['does not, when it had run for long', restarted({startedAt: AT(1), finishedAt: AT(59)}, AT(59)), undefined],
  ])('%s', (_what, status, reason) => {
    expect(problemOf(new Children([pod(status)]), 'worker')?.reason).toBe(reason);
  });
});

test('what a container leaves behind when it refuses to start is told', () => {
  const terminated = {exitCode: 1, reason: 'Error', message: 'the volume is not empty'};
  const status = container({state: {waiting: {reason: 'CrashLoopBackOff'}}, lastState: {terminated}});
  expect(problemOf(new Children([pod(status)]), 'worker')?.message).toBe(
    'pod eu-worker-a: it ends again and again, last with exit code 1 (Error): the volume is not empty',
  );
});

test('a container that runs before the others is looked at', () => {
  const initContainerStatuses = [{name: 'first', image: 'a:1', state: {waiting: {reason: 'ErrImagePull'}}}];
  const status = {...container({state: {waiting: {reason: 'PodInitializing'}}}), initContainerStatuses};
  expect(problemOf(new Children([pod(status)]), 'worker')?.message).toContain('image a:1 cannot be pulled');
});

test('a pod without a node says why', () => {
  const conditions = [{type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'Insufficient cpu'}];
  expect(problemOf(new Children([pod({conditions})]), 'worker')?.message).toBe(
    'pod eu-worker-a fits on no node: Insufficient cpu',
  );
});

test('a pod that lacks its volume says which claim and which class', () => {
  const conditions = [
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: 'unbound immediate PersistentVolumeClaims',
    },
  ];
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {name: 'data', uid: 'claim', resourceVersion: '1'},
    spec: {resources: {requests: {storage: '1Gi'}}, storageClassName: 'fast'},
    status: {phase: 'Pending'},
  };
  const waits = {...pod({conditions}), spec: {volumes: [{persistentVolumeClaim: {claimName: 'data'}}]}};
  expect(problemOf(new Children([waits, claim]), 'worker')?.message).toBe(
    'pod eu-worker-a fits on no node: unbound immediate PersistentVolumeClaims (claim data waits for storage class fast; see kubectl describe pvc/data)',
  );
});

test.each([
  ['Error', '', 'see kubectl logs eu-worker-a'],
  ['StartError', 'exec:\n"node": not found', 'exec: "node": not found'],
])('a pod of a Job that ended in %s says where to look', (reason, message, expected) => {
  const status = container({state: {terminated: {exitCode: 128, reason, message}}});
  expect(problemOf(new Children([pod(status)]), 'worker')).toEqual({
    reason: 'PodFailed',
    message: `pod eu-worker-a: it ended with exit code 128 (${reason}); ${expected}`,
  });
});

test('starting is no problem', () => {
  const status = container({state: {waiting: {reason: 'ContainerCreating'}}});
  expect(problemOf(new Children([pod(status)]), 'worker')).toBeUndefined();
});

test('the first pod by name is the one that is told about', () => {
  const status = container({state: {waiting: {reason: 'ErrImagePull'}}});
  const children = new Children([pod(status, 'eu-worker-b'), pod(status, 'eu-worker-a')]);
  expect(problemOf(children, 'worker')?.message).toContain('eu-worker-a');
});

test.each([
  ['whose pod is not made', {observedGeneration: 2, replicas: 0}, true],
  ['whose pod exists', {observedGeneration: 2, replicas: 1}, false],
  ['that its controller has not looked at yet', {observedGeneration: 1, replicas: 0}, false],
])('a StatefulSet %s', (_what, status, isProblem) => {
  const set = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      name: 'eu-pg-0',
      uid: 'set',
      resourceVersion: '1',
      generation: 2,
      labels: {'app.kubernetes.io/component': 'postgres'},
    },
    spec: {replicas: 1},
    status,
  };
  const problem = problemOf(new Children([set]), 'postgres');
  expect(problem?.reason).toBe(isProblem ? 'FailedCreate' : undefined);
  expect(problem?.message ?? '').toBe(
    isProblem
      ? '0 of 1 pods exist: the server refuses the rest (a quota, a LimitRange, Pod Security, an admission policy or webhook, a missing PriorityClass); kubectl describe statefulset/eu-pg-0 has its words'
      : '',
  );
});

const job = (status: object) => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: {
    name: 'eu-migrate-0',
    uid: 'job',
    resourceVersion: '1',
    labels: {'app.kubernetes.io/component': 'migration'},
  },
  status,
});

test.each([
  ['that was started and has no pod, says who refuses it', {startTime: '2026-03-01T12:00:00Z'}, 'FailedCreate'],
  ['whose pod runs, says nothing', {startTime: '2026-03-01T12:00:00Z', active: 1}, undefined],
  [
    'whose pod failed, and which waits for the next, says nothing',
    {startTime: '2026-03-01T12:00:00Z', failed: 1},
    undefined,
  ],
  ['that was not looked at yet, says nothing', {}, undefined],
])('a Job %s', (_what, status, reason) => {
  expect(problemOf(new Children([job(status)]), 'migration')?.reason).toBe(reason);
});

test('a container that was injected into the pod of a Job and runs on is named', () => {
  const migration = {
    ...pod({
      containerStatuses: [
        {name: 'migrate', image: 'pisync:1', state: {terminated: {exitCode: 0, reason: 'Completed'}}},
        {name: 'mesh', image: 'mesh:1', ready: true, state: {running: {startedAt: '2026-03-01T12:00:00Z'}}},
      ],
    }),
    metadata: {
      ...job({}).metadata,
      name: 'eu-migrate-0-x',
      ownerReferences: [{apiVersion: 'batch/v1', kind: 'Job', name: 'eu-migrate-0', uid: 'job', controller: true}],
    },
  };
  expect(problemOf(new Children([migration]), 'migration')).toMatchObject({
    reason: 'SidecarRuns',
    message: expect.stringContaining('container mesh runs on'),
  });
});
