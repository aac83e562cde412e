/** Applies a region and waits for it, saying what it waits for. */
import {setTimeout as delay} from 'node:timers/promises';
import {z} from 'zod';
import type {ClusterAccess} from './cluster-access.ts';

const regionSchema = z.object({
  metadata: z.object({generation: z.int()}),
  spec: z.object({ingress: z.object({host: z.string(), adminHost: z.string()})}),
  status: z
    .object({
      observedGeneration: z.int().optional(),
      phase: z.string().optional(),
      message: z.string().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(''),
            message: z.string().default(''),
          }),
        )
        .default([]),
      shards: z.array(z.object({id: z.int()}).loose()).default([]),
    })
    .default({conditions: [], shards: []}),
});
export type Region = z.infer<typeof regionSchema>;

export const isReady = ({metadata, status}: Region): boolean =>
  status.observedGeneration === metadata.generation &&
  status.conditions.some(({type, status: value}) => type === 'Ready' && value === 'True');

/** Lines for the conditions whose text is not what was said before. */
export const newsOf = (region: Region, said: Map<string, string>): readonly string[] =>
  region.status.conditions.flatMap(({type, status, reason, message}) => {
    const text = `${type.padEnd(20)} ${status.padEnd(8)} ${reason}${message === '' ? '' : `: ${message}`}`;
    if (said.get(type) === text) return [];
    said.set(type, text);
    return [text];
  });

const readRegion = async (cluster: ClusterAccess, name: string): Promise<Region | undefined> => {
  const object = await cluster.get('pisyncregion', name);
  return object === undefined ? undefined : regionSchema.parse(object);
};

/** @throws when it is not Ready in time; the message has its conditions and pods. */
export const waitUntilReady = async (
  cluster: ClusterAccess,
  name: string,
  timeoutMs: number,
  say: (line: string) => void,
): Promise<Region> => {
  const deadlineMs = performance.now() + timeoutMs;
  const said = new Map<string, string>();
  for (;;) {
    // The API server may be briefly away; only the deadline ends the wait.
    const region = await readRegion(cluster, name).catch((error: unknown) => {
      say(String(error));
      return undefined;
    });
    if (region !== undefined) {
      for (const line of newsOf(region, said)) say(line);
      if (isReady(region)) return region;
    }
    if (performance.now() > deadlineMs) {
      const pods = await cluster.kubectl('get', 'pods', '-o', 'wide').catch(String);
      throw new Error(
        `the region ${name} is not Ready after ${Math.round(timeoutMs / 1000)} s (${region?.status.message ?? 'no status'})\n${[...said.values()].join('\n')}\n${pods}`,
      );
    }
    await delay(500);
  }
};

const deploymentSchema = z.object({
  metadata: z.object({name: z.string(), generation: z.int()}),
  spec: z.object({
    replicas: z.int(),
    template: z.object({spec: z.object({containers: z.array(z.object({image: z.string()})).min(1)})}),
  }),
  status: z.object({
    observedGeneration: z.int().default(0),
    replicas: z.int().default(0),
    updatedReplicas: z.int().default(0),
    availableReplicas: z.int().default(0),
  }),
});

/** True when a Deployment runs the image in all its pods, and no pod of an older one is left. */
export const runsImage = (deployment: unknown, image: string): boolean => {
  const parsed = deploymentSchema.safeParse(deployment).data;
  if (parsed === undefined) return false;
  const {metadata, spec, status} = parsed;
  return (
    spec.template.spec.containers[0]?.image === image &&
    status.observedGeneration === metadata.generation &&
    status.updatedReplicas === status.replicas &&
    status.availableReplicas === status.replicas &&
    status.replicas > 0
  );
};

/** After an upgrade of the operator, waits until it has brought every service to its image. @throws when it has not in time */
export const waitUntilRolledOut = async (
  cluster: ClusterAccess,
  deployments: readonly string[],
  image: string,
  timeoutMs: number,
): Promise<void> => {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const states = await Promise.all(
      deployments.map(async (name) => runsImage(await cluster.get('deployment', name).catch(() => undefined), image)),
    );
    const waiting = deployments.filter((_, index) => states[index] !== true);
    if (waiting.length === 0) return;
    if (performance.now() > deadlineMs) throw new Error(`${waiting.join(', ')} not rolled out to ${image}`);
    await delay(500);
  }
};
