import {z} from 'zod';
import {type KubeObject} from '../kube/object.ts';
import {type RegionContext} from './context.ts';
import {covers, gatewayText, hostAtClass, type HostAt, isSame, ledBy, type WantedHost} from './entrances.ts';
import {KINDS} from './kinds.ts';
import {classOf, isOfOtherClass} from './manifests/route.ts';
import {type StandingRoute} from './standing-routes.ts';

/**
 * Whose a host is. Two regions with one host at one entrance would both look well, and one would get the other's devices.
 *
 * 1. A host at an entrance is that of the region whose status has it (`status.hosts`). The operator alone writes a status. Nothing else counts, whatever it
 *    says: specs, routes, their labels and owners are written by whoever may write in a namespace, and must not reach into another one.
 * 2. A region gets a host when the operator has written that down, which it does only while no other region has the host there. A route is made to lead to a
 *    host only by a later pass, which reads there that the region has it: one that dies in between, and a status that the server does not take, leave no route
 *    that nobody knows of.
 * 3. A region keeps a host as long as its spec wants it there or a route of it leads there. So it has two while one route takes over from another, and loses
 *    none when its route is deleted or made anew, or while it is suspended, invalid or being deleted.
 * 4. Two that ask at the same moment may both get it. Then the older one keeps it, by the creation time that the API server has written, and the other one
 *    gives it up, mostly before it has a route. Neither had it before, so nobody gets a host by being older.
 *
 * 5. While the regions of a namespace are not seen, nobody gets a host that they may have, and everybody keeps what he has.
 *
 * A region that is made anew, or has lost its status, has no host, and gets those that nobody else has got meanwhile. It does not
 * wait with that for what is going with an earlier region of its name.
 */
export interface HostHolder {
  /** `namespace/name`. */
  readonly region: string;
  readonly uid: string;
  /** Sorts before that of a younger one. */
  readonly age: string;
  readonly hosts: readonly HostAt[];
}

const hostAt = z.object({host: z.string(), className: z.string().optional(), gateway: z.string().optional()});

const schema = z.object({hosts: z.array(hostAt).default([])});

export const holderOf = ({metadata, status}: KubeObject): HostHolder => {
  const {namespace = '', name, uid, creationTimestamp} = metadata;
  return {
    region: `${namespace}/${name}`,
    uid,
    age: JSON.stringify([creationTimestamp, namespace, name]),
    hosts: schema.safeParse(status).data?.hosts ?? [],
  };
};

const wantedHosts = (context: RegionContext): readonly WantedHost[] => {
  const {names, namespace, spec} = context;
  const {enabled, host, adminHost, gatewayRef} = spec.ingress;
  const wanted = (
    name: string,
    component: WantedHost['component'],
    wish: string | undefined,
  ): readonly WantedHost[] => {
    if (!enabled || wish === undefined) return [];
    const at =
      gatewayRef === undefined
        ? hostAtClass(wish, classOf(context, name))
        : {host: wish, gateway: gatewayText(gatewayRef, namespace)};
    return [{name, component, at}];
  };
  return [...wanted(names.deviceApi, 'device-api', host), ...wanted(names.adminApi, 'admin-api', adminHost)];
};

/** Whether it is written down that the region has it there. */
export const isHeld = (held: readonly HostAt[], at: HostAt): boolean => held.some((mine) => covers(mine, at));

/** A wanted host that is another region's, or that may be one's of a namespace that is not seen. */
export type TakenHost = {
  /** The route that waits for it. */
  readonly name: string;
  /** Where the other region has it, or may have it. */
  readonly at: HostAt;
} & (
  | {
      /** `namespace/name` of the other region. */
      readonly by: string;
    }
  | {readonly by?: never; readonly unseen: string}
);

/**
 * Where the region has a host that is wanted at a class that is not known, because its Ingress is gone or has lost its class. While that of another class is
 * there, it is wanted elsewhere.
 */
const formerAt = (context: RegionContext, {name, at}: WantedHost, held: readonly HostAt[]): HostAt | undefined => {
  const live = context.children.find(KINDS.ingress, name);
  if (live !== undefined && isOfOtherClass(context, live)) return undefined;
  return held.find((has) => covers(at, has) && !isSame(at, has));
};

/** Where hosts are wanted, and which of them are not free there. */
export interface JudgedHosts {
  readonly wanted: readonly WantedHost[];
  readonly taken: readonly TakenHost[];
}

/** What is not free at a class that is not known stays at the class where the region has it: its Ingress is made again with that. */
export const judgeHosts = (
  context: RegionContext,
  own: HostHolder,
  others: readonly HostHolder[],
  unseen: readonly string[],
): JudgedHosts => {
  const takenBy = ({name, at}: WantedHost): readonly TakenHost[] => {
    const isTaken = (has: HostAt, age: string): boolean => {
      if (own.hosts.some((mine) => isSame(mine, at))) return isSame(has, at) && age < own.age;
      // Its Ingress has got its class just now.
      if (isHeld(own.hosts, at)) return isSame(has, at);
      return covers(has, at) || covers(at, has);
    };
    return [
      ...others.flatMap(({region, age, hosts}) =>
        hosts.filter((has) => isTaken(has, age)).map((has) => ({name, at: has, by: region})),
      ),
      ...(isHeld(own.hosts, at) ? [] : unseen.map((namespace) => ({name, at, unseen: namespace}))),
    ].slice(0, 1);
  };
  const wanted = wantedHosts(context).map((wish): WantedHost => {
    const former = formerAt(context, wish, own.hosts);
    return former === undefined || takenBy(wish).length === 0 ? wish : {...wish, at: former};
  });
  return {wanted, taken: wanted.flatMap(takenBy)};
};

/** What the region has after a pass: what is wanted (and not another's), and of what it had what is led to. */
export const heldHosts = (
  before: readonly HostAt[],
  wanted: readonly WantedHost[],
  routes: readonly StandingRoute[],
): readonly HostAt[] => {
  const led = routes.flatMap(({manifest}) => ledBy(manifest));
  // An Ingress gets its class from the server after it was written down where it leads.
  const isLed = (has: HostAt): readonly HostAt[] => led.filter((at) => covers(has, at));
  const known = [...wanted.map(({at}) => at), ...before.flatMap((has) => [has, ...isLed(has)])];
  return known
    .filter((has, index) => known.findIndex((other) => isSame(other, has)) === index)
    .filter((has) => wanted.some(({at}) => covers(at, has)) || led.some((at) => isSame(at, has)));
};
