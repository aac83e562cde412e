import {z} from 'zod';
import {type KubeObject} from '../kube/object.ts';
import {type Children, conditionsSchema} from './children.ts';
import {KINDS} from './kinds.ts';
import {COMPONENT, type Component} from './labels.ts';

/** Why pods do not run, in the words of Kubernetes: what a person would look up first. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
}

const waiting = z.object({reason: z.string(), message: z.string().default('')});
const terminated = z.object({reason: z.string().default('Error'), exitCode: z.int(), message: z.string().default('')});

const podSchema = z.object({
  metadata: z.object({name: z.string()}),
  status: z
    .object({
      conditions: conditionsSchema,
      containerStatuses: z
        .array(
          z.object({
            name: z.string(),
            state: z.object({waiting: waiting.optional()}).default({}),
            lastState: z.object({terminated: terminated.optional()}).default({}),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

const deploymentSchema = z.object({
  metadata: z.object({name: z.string()}),
  status: z.object({conditions: conditionsSchema}).prefault({}),
});

/** Starting takes its time; these reasons say that it will not succeed. */
const BENIGN = new Set(['ContainerCreating', 'PodInitializing']);

const ofPod = (object: KubeObject): Problem | undefined => {
  const pod = podSchema.safeParse(object).data;
  if (pod === undefined) return undefined;
  const unscheduled = pod.status.conditions.find(
    ({type, status, reason}) => type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
  );
  if (unscheduled !== undefined) {
    return {reason: 'Unschedulable', message: `pod ${pod.metadata.name} fits on no node: ${unscheduled.message}`};
  }
  for (const {state, lastState} of pod.status.containerStatuses) {
    if (state.waiting === undefined || BENIGN.has(state.waiting.reason)) continue;
    const ended = lastState.terminated === undefined ? '' : `; last exit code ${lastState.terminated.exitCode}`;
    // Back-off messages count up: only their beginning is stable enough for a status.
    const message = state.waiting.reason === 'CrashLoopBackOff' ? 'it ends again and again' : state.waiting.message;
    return {
      reason: state.waiting.reason,
      message: `pod ${pod.metadata.name}: ${state.waiting.reason}: ${message}${ended}`.slice(0, 512),
    };
  }
  return undefined;
};

const ofDeployment = (object: KubeObject): Problem | undefined => {
  const deployment = deploymentSchema.safeParse(object).data;
  const failure = deployment?.status.conditions.find(
    ({type, status}) => type === 'ReplicaFailure' && status === 'True',
  );
  return failure && {reason: failure.reason, message: failure.message.slice(0, 512)};
};

/** The first problem of a component, in the order of names so that it does not change from pass to pass. */
export const problemOf = (children: Children, component: Component): Problem | undefined =>
  children.all
    .filter(({metadata}) => metadata.labels?.[COMPONENT] === component && metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap((object) => {
      if (object.kind === KINDS.pod.kind) return ofPod(object) ?? [];
      return object.kind === KINDS.deployment.kind ? (ofDeployment(object) ?? []) : [];
    })[0];
