import {z} from 'zod';
import {type KubeObject} from '../kube/object.ts';
import {conditionSchema, listOf} from './children.ts';
import {gatewayText} from './entrances.ts';

/** What a Gateway says of an HTTPRoute. `silent` also while all that it said was about an earlier route or came from another Gateway. */
export type GatewayVerdict =
  | {readonly kind: 'silent'}
  | {readonly kind: 'accepted'}
  | {readonly kind: 'refused'; readonly reason: string; readonly message: string};

const schema = z.object({
  metadata: z.object({generation: z.int().default(0), namespace: z.string().default('')}),
  status: z
    .object({
      parents: z
        .array(
          z.object({
            parentRef: z.object({name: z.string(), namespace: z.string().optional()}),
            conditions: listOf(conditionSchema.extend({observedGeneration: z.int().optional()})),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

export const gatewayVerdict = (
  httpRoute: KubeObject | undefined,
  gateway: {readonly name: string; readonly namespace?: string | undefined},
): GatewayVerdict => {
  const route = schema.safeParse(httpRoute).data;
  if (route === undefined) return {kind: 'silent'};
  const {generation, namespace} = route.metadata;
  const conditions = route.status.parents
    .filter(({parentRef}) => gatewayText(parentRef, namespace) === gatewayText(gateway, namespace))
    .flatMap((parent) => parent.conditions)
    .filter(({observedGeneration}) => (observedGeneration ?? generation) >= generation);
  const refused = conditions.find(
    ({type, status}) => (type === 'Accepted' || type === 'ResolvedRefs') && status === 'False',
  );
  if (refused !== undefined) return {kind: 'refused', reason: refused.reason, message: refused.message};
  return conditions.some(({type, status}) => type === 'Accepted' && status === 'True')
    ? {kind: 'accepted'}
    : {kind: 'silent'};
};
