import {describe, expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {FakeClock} from '../kube/testing/fake-clock.ts';
import {Children} from './children.ts';
import {MissingPods} from './missing-pods.ts';
import {KINDS} from './kinds.ts';
import {overdueInMs, podPart, problemOf as problemAt} from './problems.ts';

const pod = (status: object, name = 'eu-worker-a') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {name, uid: name, resourceVersion: '1', labels: {'app.kubernetes.io/component': 'worker'}},
  status,
});

const NOW = new Date('2026-03-01T12:00:00Z');
const problemOf = (children: Children, component: string) => problemAt(children, component, NOW);
const minutesAgo = (minutes: number): string => new Date(NOW.getTime() - minutes * 60_000).toISOString();

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

test.each([
  [
    'a condition',
    {conditions: [{type: 'x.example.com/ready', status: 'True', lastProbeTime: null, lastTransitionTime: null}]},
    {},
  ],
  ['how a container ended', {}, {lastState: {terminated: {exitCode: 137, startedAt: null, finishedAt: null}}}],
  ['a condition of another shape', {conditions: [{type: 'odd'}]}, {}],
])('a time that nobody knows, or %s, hides nothing else of its pod', (_what, more, last) => {
  const status = container({state: {waiting: {reason: 'ImagePullBackOff'}}, ...last});
  const kept = {...pod({}), ...podPart(pod({...status, ...more}))};
  expect(problemOf(new Children([kept]), 'worker')?.reason).toBe('ImagePullBackOff');
});

test('a workload, a Job and a claim are there whatever a condition of theirs lacks', () => {
  const conditions = [{type: 'Odd', status: 'True', lastTransitionTime: null}, {type: 'Odd'}];
  const object = (apiVersion: string, kind: string, spec: object) => ({
    apiVersion,
    kind,
    metadata: {name: 'it', uid: 'it', resourceVersion: '1'},
    spec,
    status: {conditions},
  });
  const children = new Children([
    object('apps/v1', 'Deployment', {}),
    object('batch/v1', 'Job', {}),
    object('v1', 'PersistentVolumeClaim', {resources: {requests: {storage: '1Gi'}}}),
  ]);
  const found = [children.workload(KINDS.deployment, 'it')?.status, children.job('it')?.status, children.volume('it')];
  expect(found.map((one) => one?.conditions.map(({type}) => type))).toEqual([['Odd'], ['Odd'], ['Odd']]);
});

test('starting is no problem', () => {
  const status = container({state: {waiting: {reason: 'ContainerCreating'}}});
  expect(problemOf(new Children([pod(status)]), 'worker')).toBeUndefined();
});

describe('a pod that has a node and does not start there', () => {
  const scheduled = (minutes: number) => ({
    type: 'PodScheduled',
    status: 'True',
    lastTransitionTime: minutesAgo(minutes),
  });
  const creating = container({state: {waiting: {reason: 'ContainerCreating'}}});
  const initializing = {
    ...container({state: {waiting: {reason: 'PodInitializing'}}}),
    initContainerStatuses: [{name: 'first', image: 'a:1', state: {running: {}}}],
  };
  const sandboxed = {type: 'PodReadyToStartContainers', status: 'True', lastTransitionTime: minutesAgo(2)};
  test.each([
    ['is named after five minutes', {...creating, conditions: [scheduled(5)]}, 'ContainerCreating'],
    ['is given them', {...creating, conditions: [scheduled(4)]}, undefined],
    [
      'is named although it is not known since when something else is so',
      {...creating, conditions: [scheduled(5), {type: 'Odd', status: 'True', lastTransitionTime: null}]},
      'ContainerCreating',
    ],
    ['is given them again when it gets on', {...creating, conditions: [scheduled(6), sandboxed]}, undefined],
    ['is named while another container runs before', {...initializing, conditions: [scheduled(5)]}, 'PodInitializing'],
    ['is named when the kubelet says nothing of it', {conditions: [scheduled(5)]}, 'ContainerCreating'],
    ['is past when it was evicted', {phase: 'Failed', conditions: [scheduled(5)]}, undefined],
    ['is past when it has done its work', {phase: 'Succeeded', conditions: [scheduled(5)]}, undefined],
    ['does, when its containers run', {...container({state: {running: {}}}), conditions: [scheduled(50)]}, undefined],
  ])('%s', (_what, status, reason) => {
    expect(problemOf(new Children([pod(status)]), 'worker')?.reason).toBe(reason);
  });

  test('is looked at again at that time, because nothing changes then', () => {
    const children = new Children([
      pod({...creating, conditions: [scheduled(4)]}),
      pod({...creating, conditions: [scheduled(50)]}, 'late'),
      pod({...container({state: {running: {}}}), conditions: [scheduled(1)]}, 'running'),
    ]);
    expect(overdueInMs(children, NOW)).toEqual([60_000]);
    expect(problemOf(children, 'worker')?.message).toBe(
      'pod late: it has a node and does not start there; kubectl describe pod/late says what it waits for (a volume, a Secret, a ConfigMap, an image)',
    );
  });
});

describe('a pod that should have ended', () => {
  const ending = (minutes: number, controller: string) => {
    const {metadata, ...rest} = pod(container({state: {running: {}}}));
    const reference = {apiVersion: 'apps/v1', kind: controller, name: 'set', uid: 'set', controller: true};
    return {
      ...rest,
      metadata: {...metadata, deletionTimestamp: minutesAgo(minutes), ownerReferences: [reference]},
    };
  };
  test.each([
    ['is named after five minutes', ending(5, 'StatefulSet'), 'Terminating', []],
    ['is given them', ending(4, 'StatefulSet'), undefined, [60_000]],
    ['is not waited for by a ReplicaSet', ending(5, 'ReplicaSet'), undefined, []],
  ])('%s', (_what, object, reason, again) => {
    const children = new Children([object]);
    expect(problemOf(children, 'worker')?.reason).toBe(reason);
    expect(overdueInMs(children, NOW)).toEqual(again);
  });

  test('comes after what is in the way of another one', () => {
    const other = pod(container({state: {waiting: {reason: 'ErrImagePull'}}}), 'eu-worker-b');
    const children = new Children([ending(5, 'StatefulSet'), other]);
    expect(problemOf(children, 'worker')?.reason).toBe('ImagePullBackOff');
  });
});

test('the first pod by name is the one that is told about', () => {
  const status = container({state: {waiting: {reason: 'ErrImagePull'}}});
  const children = new Children([pod(status, 'eu-worker-b'), pod(status, 'eu-worker-a')]);
  expect(problemOf(children, 'worker')?.message).toContain('eu-worker-a');
});

const statefulSet = (status: object): KubeObject => ({
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
});

test.each([
  ['whose pod is not made', {observedGeneration: 2, replicas: 0}, true],
  ['whose pod exists', {observedGeneration: 2, replicas: 1}, false],
  ['that its controller has not looked at yet', {observedGeneration: 1, replicas: 0}, false],
])('a StatefulSet %s', (_what, status, isProblem) => {
  const problem = problemOf(new Children([statefulSet(status)]), 'postgres');
  expect(problem?.reason).toBe(isProblem ? 'FailedCreate' : undefined);
  expect(problem?.message ?? '').toBe(
    isProblem
      ? '0 of 1 pods exist: the server refuses the rest (a quota, a LimitRange, Pod Security, an admission policy or webhook, a missing PriorityClass); kubectl describe statefulset/eu-pg-0 has its words'
      : '',
  );
});

test('a StatefulSet whose pod is being replaced is no problem before that has taken too long', () => {
  const clock = new FakeClock();
  const missing = new MissingPods(clock);
  const region = {...statefulSet({}), metadata: {name: 'eu', uid: 'region', resourceVersion: '1'}};
  const seen = (replicas: number): Children => {
    const objects = [statefulSet({observedGeneration: 2, replicas})];
    return new Children(objects, missing.agesMs(region, new Children(objects), [region]));
  };
  expect(problemOf(seen(0), 'postgres')).toBeUndefined();
  clock.freeze(5_000);
  expect(overdueInMs(seen(0), NOW)).toEqual([10_000]);
  // The next one, of another restart.
  expect(overdueInMs(seen(1), NOW)).toEqual([]);
  clock.freeze(60_000);
  expect(problemOf(seen(0), 'postgres')).toBeUndefined();
  clock.freeze(15_000);
  expect(problemOf(seen(0), 'postgres')?.reason).toBe('FailedCreate');
  expect(overdueInMs(seen(0), NOW)).toEqual([]);
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
  [
    'whose pod has ended and is not counted yet, says nothing',
    {startTime: '2026-03-01T12:00:00Z', uncountedTerminatedPods: {failed: ['pod']}},
    undefined,
  ],
])('a Job %s', (_what, status, reason) => {
  expect(problemOf(new Children([job(status)]), 'migration')?.reason).toBe(reason);
});

test('a Job that has a pod says nothing, whatever it has counted', () => {
  const ownerReferences = [{apiVersion: 'batch/v1', kind: 'Job', name: 'eu-migrate-0', uid: 'job', controller: true}];
  const {metadata, ...rest} = pod({phase: 'Failed'}, 'eu-migrate-0-x');
  const children = new Children([
    job({startTime: '2026-03-01T12:00:00Z'}),
    {...rest, metadata: {...metadata, ownerReferences}},
  ]);
  expect(problemOf(children, 'migration')).toBeUndefined();
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
