import {z} from 'zod';
import {oneLine} from '../kube/errors.ts';
import {controllerOf, isName, type KubeObject} from '../kube/object.ts';
import {cutText} from '../kube/text.ts';
import {type ChildCondition, type Children, conditionsSchema, isComplete, listOf, timeSchema} from './children.ts';
import {KINDS} from './kinds.ts';
import {type Component, COMPONENT} from './labels.ts';

/** Why pods do not run, in the words of Kubernetes: what a person would look up first. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
}

const waiting = z.object({reason: z.string(), message: z.string().default('')});
const terminated = z.object({
  reason: z.string().default('Error'),
  exitCode: z.int(),
  message: z.string().default(''),
  startedAt: timeSchema,
  finishedAt: timeSchema,
});

const containerSchema = z.object({
  name: z.string().default(''),
  image: z.string().default(''),
  ready: z.boolean().default(false),
  restartCount: z.int().default(0),
  state: z
    .object({
      waiting: waiting.optional(),
      running: z.object({startedAt: timeSchema}).optional(),
      terminated: terminated.optional(),
    })
    .default({}),
  lastState: z.object({terminated: terminated.optional()}).default({}),
});
type ContainerStatus = z.output<typeof containerSchema>;

const podSchema = z.object({
  metadata: z.object({name: z.string(), deletionTimestamp: timeSchema}),
  status: z
    .object({
      phase: z.string().default('Pending'),
      conditions: conditionsSchema,
      // In the order in which they run: the first that does not keeps the others from it.
      initContainerStatuses: listOf(containerSchema),
      containerStatuses: listOf(containerSchema),
    })
    .prefault({}),
});

type Pod = z.output<typeof podSchema>;

const jobSchema = z.object({
  metadata: z.object({name: z.string()}),
  status: z
    .object({
      startTime: timeSchema,
      active: z.int().default(0),
      succeeded: z.int().default(0),
      failed: z.int().default(0),
      // Pods that have ended and are not counted yet.
      uncountedTerminatedPods: z
        .object({succeeded: z.array(z.unknown()).default([]), failed: z.array(z.unknown()).default([])})
        .prefault({}),
      conditions: conditionsSchema,
    })
    .prefault({}),
});

const deploymentSchema = z.object({
  status: z.object({conditions: conditionsSchema}).prefault({}),
});

/** Starting takes its time; these reasons say nothing bad, unless they last. */
const BENIGN = new Set(['ContainerCreating', 'PodInitializing']);
/** An image of some hundred megabytes over a slow line takes less, and so does a volume that moves to another node, or a process that ends. */
const OVERDUE_AFTER_MS = 300_000;
/** From the end of a StatefulSet's pod to the status that counts the next one takes its controller less, also on a busy machine. */
const REPLACED_WITHIN_MS = 15_000;
const PULL_REASONS = new Set(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull']);
/** One restart happens; a second one before the container was ready is a loop. */
const LOOP_RESTARTS = 2;
/** After a life of this length the kubelet forgives a container its restarts. */
const LONG_LIFE_MS = 600_000;

const betweenMs = (from: string | undefined, to: string | undefined): number =>
  Date.parse(to ?? '') - Date.parse(from ?? '');

/**
 * Whether a container that is not ready was not so since its last start either, and ended soon after the one before. All of these times are the kubelet's, so
 * they are compared with each other: restarts of weeks ago say nothing, whatever keeps the container from being ready now.
 */
const isLooping = (
  {ready, restartCount, state, lastState}: ContainerStatus,
  unreadySince: string | undefined,
): boolean => {
  if (ready || restartCount < LOOP_RESTARTS) return false;
  const {startedAt, finishedAt} = lastState.terminated ?? {};
  return !(betweenMs(startedAt, finishedAt) >= LONG_LIFE_MS || betweenMs(state.running?.startedAt, unreadySince) > 0);
};

/**
 * The kubelet alternates between attempts and pauses, with messages that count up. A status that followed would be written again and again, so
 * both sides of each alternation are told in the same words.
 */
const ofContainer = (pod: string, status: ContainerStatus, unreadySince: string | undefined): Problem | undefined => {
  const {image, state, lastState} = status;
  const reason = state.waiting?.reason;
  if (reason !== undefined && PULL_REASONS.has(reason)) {
    return {reason: 'ImagePullBackOff', message: `image ${image} cannot be pulled`};
  }
  if (reason === 'CrashLoopBackOff' || isLooping(status, unreadySince)) {
    const {terminated} = lastState;
    const why = terminated === undefined ? '' : `, last with exit code ${terminated.exitCode} (${terminated.reason})`;
    // What a container leaves in its termination message was written to be read here.
    const detail = terminated === undefined || terminated.message === '' ? '' : `: ${oneLine(terminated.message)}`;
    return {
      reason: 'CrashLoopBackOff',
      message: `it ends again and again${why}${detail === '' ? `; see kubectl logs ${pod} --previous` : detail}`,
    };
  }
  // Of a Job: its pods are not restarted but replaced.
  if (state.terminated !== undefined && state.terminated.exitCode !== 0) {
    const {exitCode, reason: end, message} = state.terminated;
    // Without a process there is no log, only what the runtime said.
    const detail = end === 'StartError' ? oneLine(message) : `see kubectl logs ${pod}`;
    return {reason: 'PodFailed', message: `it ended with exit code ${exitCode} (${end}); ${detail}`};
  }
  if (state.waiting === undefined || BENIGN.has(state.waiting.reason)) return undefined;
  return {reason: state.waiting.reason, message: state.waiting.message};
};

/** Phases of a pod that never runs again: evicted, cut off by a shutdown of its node, or done. */
const ENDED = new Set(['Failed', 'Succeeded']);

/** What is a problem of a pod once it has lasted: the kubelet tells only in events what it waits for. */
interface Patience {
  readonly untilMs: number;
  readonly problem: Problem;
}

/**
 * Of a pod that has its node and does not run there. It lasts since a condition of the pod last changed. Those times are of other clocks; one that is wrong
 * makes this be told too early or too late, and nothing else.
 */
const patienceWithStart = ({metadata: {name}, status}: Pod): Patience | undefined => {
  const {phase, conditions, initContainerStatuses, containerStatuses} = status;
  const hasNode = conditions.some(({type, status: is}) => type === 'PodScheduled' && is === 'True');
  if (!hasNode || ENDED.has(phase)) return undefined;
  const waits = [...initContainerStatuses, ...containerStatuses].flatMap(({state}) => state.waiting?.reason ?? []);
  // A kubelet that is away says nothing of any container.
  const reason = containerStatuses.length === 0 ? 'ContainerCreating' : waits.find((item) => BENIGN.has(item));
  if (reason === undefined) return undefined;
  const timesMs = conditions.map(({lastTransitionTime}) => Date.parse(lastTransitionTime ?? ''));
  const lastMs = Math.max(...timesMs.filter((ms) => !Number.isNaN(ms)));
  return {
    untilMs: lastMs + OVERDUE_AFTER_MS,
    problem: {
      reason,
      message: `pod ${name}: it has a node and does not start there; kubectl describe pod/${name} says what it waits for (a volume, a Secret, a ConfigMap, an image)`,
    },
  };
};

/** Who makes no other pod before this one has ended: a StatefulSet, and with its strategy Recreate the Deployment of the cache. */
const isWaitedFor = (pod: KubeObject): boolean =>
  controllerOf(pod)?.kind === KINDS.statefulSet.kind ||
  pod.metadata.labels?.[COMPONENT] === ('redis' satisfies Component);

const patienceWithEnd = (object: KubeObject): Patience | undefined => {
  const {name, deletionTimestamp} = object.metadata;
  if (deletionTimestamp === undefined || !isWaitedFor(object)) return undefined;
  return {
    // A deletionTimestamp is the end of the time that the pod was given.
    untilMs: Date.parse(deletionTimestamp) + OVERDUE_AFTER_MS,
    problem: {
      reason: 'Terminating',
      message: `pod ${name}: it does not end, and nothing takes its place before; its node is gone or does not answer (kubectl describe pod/${name} names it)`,
    },
  };
};

const patienceWith = (object: KubeObject): Patience | undefined => {
  if (object.metadata.deletionTimestamp !== undefined) return patienceWithEnd(object);
  const pod = podSchema.safeParse(object).data;
  return pod && patienceWithStart(pod);
};

const overdue = (patience: Patience | undefined, now: Date): Problem | undefined =>
  patience !== undefined && patience.untilMs <= now.getTime() ? patience.problem : undefined;

/** How long until something becomes a problem if it stays as it is. */
const patienceLeftMs = (object: KubeObject, children: Children, now: Date): number | undefined => {
  if (object.kind === KINDS.statefulSet.kind) {
    const lackingMs = children.lacksPodsForMs(object.metadata.name);
    return lackingMs === undefined ? undefined : REPLACED_WITHIN_MS - lackingMs;
  }
  const patience = object.kind === KINDS.pod.kind ? patienceWith(object) : undefined;
  return patience && patience.untilMs - now.getTime();
};

/** When what stays as it is becomes a problem: nothing changes then, so nobody is told. */
export const overdueInMs = (children: Children, now: Date): readonly number[] =>
  children.all.flatMap((object) => patienceLeftMs(object, children, now) ?? []).filter((inMs) => inMs > 0);

const ofPod = (object: KubeObject, children: Children, now: Date): Problem | undefined => {
  const pod = podSchema.safeParse(object).data;
  if (pod === undefined) return undefined;
  const owner = controllerOf(object);
  const isOfJob = owner?.kind === KINDS.job.kind;
  // Only a Job waits for what its pods come to, until it is complete. Elsewhere one that has ended may lie there for weeks, and another one has its place.
  if (ENDED.has(pod.status.phase) && (!isOfJob || isOver(owner.uid, children))) return undefined;
  const {name} = pod.metadata;
  const unscheduled = pod.status.conditions.find(
    ({type, status, reason}) => type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
  );
  if (unscheduled !== undefined) {
    const claim = VOLUME_WORDS.test(unscheduled.message) ? waitingClaim(object, children) : '';
    return {reason: 'Unschedulable', message: `pod ${name} fits on no node: ${unscheduled.message}${claim}`};
  }
  const unreadySince = pod.status.conditions.find(({type}) => type === 'Ready')?.lastTransitionTime;
  const problem = [...pod.status.initContainerStatuses, ...pod.status.containerStatuses].flatMap(
    (status) => ofContainer(name, status, unreadySince) ?? [],
  )[0];
  const found = problem ?? (isOfJob ? ofSidecar(pod.status.containerStatuses) : undefined);
  return found === undefined
    ? overdue(patienceWithStart(pod), now)
    : {...found, message: `pod ${name}: ${found.message}`};
};

/** Whether an attempt has succeeded: those before it lie there as long as their Job. */
const isOver = (jobUid: string, children: Children): boolean => isComplete(children.doneBy(children.withUid(jobUid)));

/** What was injected into a Job's pod and does not end with its work keeps the Job from ever being complete. */
const ofSidecar = (containers: readonly ContainerStatus[]): Problem | undefined => {
  const done = containers.find(({state}) => state.terminated?.exitCode === 0);
  const left = containers.find(({state}) => state.running !== undefined);
  return done === undefined || left === undefined
    ? undefined
    : {
        reason: 'SidecarRuns',
        message: `container ${done.name} has done its work, and container ${left.name} runs on, so its Job is never complete; keep what injects it away from these pods (spec.keeper.podTemplate)`,
      };
};

/** A Job has no condition for it: its controller tells only in events why it cannot make a pod. */
const ofJob = (object: KubeObject, children: Children): Problem | undefined => {
  const job = jobSchema.safeParse(object).data;
  if (job === undefined) return undefined;
  const {startTime, active, succeeded, failed, uncountedTerminatedPods: uncounted, conditions} = job.status;
  if (startTime === undefined || active + succeeded + failed > 0) return undefined;
  if (uncounted.succeeded.length + uncounted.failed.length > 0) return undefined;
  // The counts follow later.
  if (children.hasPods(object.metadata.uid)) return undefined;
  if (conditions.some(({status}) => status === 'True')) return undefined;
  return {
    reason: 'FailedCreate',
    message: `Job ${job.metadata.name} has no pod: the server refuses it (a quota, a LimitRange, Pod Security, an admission policy or webhook, a missing PriorityClass); kubectl describe job/${job.metadata.name} has its words`,
  };
};

const VOLUME_WORDS = /persistentvolumeclaim|storageclass/i;
const podVolumes = z.object({
  spec: z.object({
    volumes: z.array(z.object({persistentVolumeClaim: z.object({claimName: z.string()}).optional()})).default([]),
  }),
});

/** Bytes of an image, a reason or a message. Each can be as long as an object. */
const LONGEST_TEXT = 1024;
/** Characters as JSON. The containers of a pod have 12 KiB for what they say at their end, and two ends of each are told. */
const LARGEST_STATUS = 32_768;
/** More than a pod of a region has. */
const MOST_VOLUMES = 64;

const statusPart = (pod: KubeObject): unknown => {
  const text = JSON.stringify(podSchema.safeParse(pod).data?.status ?? {}, (_, value: unknown) =>
    typeof value === 'string' ? cutText(value.slice(0, LONGEST_TEXT + 1), LONGEST_TEXT) : value,
  );
  return text.length > LARGEST_STATUS ? {} : JSON.parse(text);
};

/** What is read here of a pod, of a size that has a limit; most of one is how its containers are made. */
export const podPart = (pod: KubeObject): object => {
  const claims = (podVolumes.safeParse(pod).data?.spec.volumes ?? []).filter(
    ({persistentVolumeClaim: claim}) => claim !== undefined && isName(claim.claimName),
  );
  return {status: statusPart(pod), spec: {volumes: claims.slice(0, MOST_VOLUMES)}};
};

/** The scheduler names neither the claim nor the class that a pod lacks. */
const waitingClaim = (object: KubeObject, children: Children): string => {
  const volumes = podVolumes.safeParse(object).data?.spec.volumes ?? [];
  const waits = volumes.flatMap(({persistentVolumeClaim}) => {
    const claim = persistentVolumeClaim && children.volume(persistentVolumeClaim.claimName);
    return claim === undefined || claim.size !== undefined
      ? []
      : [{name: persistentVolumeClaim?.claimName, className: claim.className}];
  })[0];
  if (waits === undefined) return '';
  const {name, className} = waits;
  const wish = className === undefined ? 'a default storage class, which is missing' : `storage class ${className}`;
  return ` (claim ${name} waits for ${wish}; see kubectl describe pvc/${name})`;
};

const ofDeployment = (object: KubeObject): Problem | undefined => {
  const failure = conditionOf(object, ({type, status}) => type === 'ReplicaFailure' && status === 'True');
  return failure && {reason: failure.reason, message: failure.message};
};

/** What is known when nothing else is: that new pods take too long, whatever keeps them. */
const ofRollout = (object: KubeObject): Problem | undefined => {
  const late = conditionOf(object, ({type, status}) => type === 'Progressing' && status === 'False');
  return late && {reason: late.reason, message: late.message};
};

const conditionOf = (object: KubeObject, isIt: (condition: ChildCondition) => boolean): ChildCondition | undefined =>
  deploymentSchema.safeParse(object).data?.status.conditions.find(isIt);

/** A StatefulSet has no condition for it: its controller tells only in events why it cannot make a pod. */
const ofStatefulSet = ({metadata: {name}}: KubeObject, children: Children): Problem | undefined => {
  const live = children.workload(KINDS.statefulSet, name);
  const lackingMs = children.lacksPodsForMs(name);
  if (live === undefined || lackingMs === undefined || lackingMs < REPLACED_WITHIN_MS) return undefined;
  return {
    reason: 'FailedCreate',
    message: `${live.status.replicas} of ${live.spec.replicas} pods exist: the server refuses the rest (a quota, a LimitRange, Pod Security, an admission policy or webhook, a missing PriorityClass); kubectl describe statefulset/${name} has its words`,
  };
};

/** The first problem of a component, in the order of names so that it does not change from pass to pass. */
export const problemOf = (children: Children, component: string | undefined, now: Date): Problem | undefined => {
  const all = children.all
    .filter(({metadata}) => metadata.labels?.[COMPONENT] === component)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const objects = all.filter(({metadata}) => metadata.deletionTimestamp === undefined);
  const deployments = objects.filter(({kind}) => kind === KINDS.deployment.kind);
  return (
    firstOf(objects, (object) => {
      if (object.kind === KINDS.pod.kind) return ofPod(object, children, now);
      if (object.kind === KINDS.job.kind) return ofJob(object, children);
      if (object.kind === KINDS.statefulSet.kind) return ofStatefulSet(object, children);
      return object.kind === KINDS.deployment.kind ? ofDeployment(object) : undefined;
    }) ??
    firstOf(all, (object) => (object.kind === KINDS.pod.kind ? overdue(patienceWithEnd(object), now) : undefined)) ??
    firstOf(deployments, ofRollout)
  );
};

/** Nothing behind it is looked at. */
const firstOf = (
  objects: readonly KubeObject[],
  judge: (object: KubeObject) => Problem | undefined,
): Problem | undefined => {
  for (const object of objects) {
    const problem = judge(object);
    if (problem !== undefined) return problem;
  }
  return undefined;
};
