import {type Condition} from '../../api/v1alpha1/status.ts';
import {type KubeObject} from '../../kube/object.ts';
import {classNameOf} from '../entrances.ts';
import {gatewayVerdict} from '../gateway-verdict.ts';
import {hasAddress, PATIENCE_MS} from '../handover.ts';
import {KINDS} from '../kinds.ts';
import {isLeaving, leavingText} from '../standing-routes.ts';
import {type ConditionInput, fails, type Finding, holds, unknown} from './condition.ts';

const TYPE = 'RouteReady';

/** The reason when an Ingress that had an address has none; by it the next pass knows that there was one. */
export const ADDRESS_LOST = 'AddressLost';
const ASSIGNED = 'AddressAssigned';
const EXPIRES = 'CertificateExpires';

const ENDPOINT_OF = {deviceApi: 'device', adminApi: 'admin'} as const;

interface Route {
  readonly tier: keyof typeof ENDPOINT_OF;
  readonly name: string;
  /** As it was seen; absent if it is not there after the pass, or not for long. */
  readonly live: KubeObject | undefined;
  /** What is still there and has to go first. */
  readonly former: KubeObject | undefined;
}

/** How long until the loss of an address counts as a failure; undefined where none is lost, or it counts by now. */
export const addressOverdueInMs = (said: Condition | undefined, now: Date): number | undefined =>
  said?.reason === ADDRESS_LOST && said.status === 'Unknown'
    ? Math.max(0, Date.parse(said.lastTransitionTime) + PATIENCE_MS - now.getTime())
    : undefined;

/**
 * How long until an Ingress without an address counts as served by nobody, which it does only where the region's had one before: then its controller is one
 * that gives them. Undefined where it may never get one.
 */
const patienceMs = ({region: {status}, now}: ConditionInput, tier: Route['tier']): number | undefined => {
  const said = status.conditions?.find(({type}) => type === TYPE);
  if (said?.reason === ADDRESS_LOST) return addressOverdueInMs(said, now) ?? 0;
  const had = said?.status === 'True' && (said.reason === ASSIGNED || said.reason === EXPIRES);
  return had && status.endpoints?.[ENDPOINT_OF[tier]] !== undefined ? PATIENCE_MS : undefined;
};

const silence = (ingress: KubeObject): string => {
  const className = classNameOf(ingress);
  const whose =
    className === undefined
      ? 'the cluster had no default class when it was made, and it gets none by itself: name one in ingress.className'
      : `class ${className}`;
  return `no ingress controller has given Ingress ${ingress.metadata.name} an address (${whose}; see kubectl get ingressclass)`;
};

const lostAddress = (input: ConditionInput, routes: readonly Route[]): Finding | undefined => {
  const [first] = routes
    .filter(({live}) => !hasAddress(live))
    .flatMap((route) => {
      const leftMs = patienceMs(input, route.tier);
      return leftMs === undefined ? [] : [{...route, leftMs}];
    });
  if (first === undefined) return undefined;
  const {name, live, former, leftMs} = first;
  const missing = former === undefined ? `Ingress ${name} is made again, and has no address yet` : leavingText(former);
  const message = live === undefined ? missing : `${silence(live)}, and there was one`;
  return (leftMs > 0 ? unknown : fails)(TYPE, ADDRESS_LOST, message);
};

const ofIngresses = (routes: readonly (KubeObject | undefined)[]): Finding => {
  const silent = routes.find((route) => route !== undefined && !hasAddress(route));
  return silent === undefined
    ? holds(TYPE, ASSIGNED, 'every Ingress has an address')
    : unknown(TYPE, 'NoAddress', silence(silent));
};

/**
 * Whether somebody routes the hosts. Many ingress controllers never say so in an Ingress's status, so silence is Unknown
 * and does not keep the region from being ready; a Gateway's refusal does, and silence for ten minutes where an Ingress had an address.
 */
export const routeReady = (input: ConditionInput): Finding => {
  const {context, entrance} = input;
  const {spec, names, children} = context;
  const {enabled, host, adminHost, gatewayRef} = spec.ingress;
  const hosted = [
    ...(host === undefined ? [] : [{tier: 'deviceApi', name: names.deviceApi} as const]),
    ...(adminHost === undefined ? [] : [{tier: 'adminApi', name: names.adminApi} as const]),
  ];
  if (!enabled || hosted.length === 0) return holds(TYPE, 'NoHosts', 'no host is to be routed');
  const kind = gatewayRef === undefined ? KINDS.ingress : KINDS.httpRoute;
  const standing = hosted.map(({tier, name}) => {
    const seen = children.find(kind, name);
    const stands = input.routes.some(
      ({manifest, isLeaving: leaves}) => !leaves && manifest.kind === kind.kind && manifest.metadata.name === name,
    );
    return {
      tier,
      name,
      live: stands ? seen : undefined,
      former: seen !== undefined && isLeaving(seen) ? seen : undefined,
    };
  });
  const routes = standing.map(({live}) => live);
  const {problem, doubt, warning} = entrance;
  if (problem !== undefined) return fails(TYPE, problem.reason, problem.message);
  const lost = gatewayRef === undefined ? lostAddress(input, standing) : undefined;
  if (lost !== undefined) return lost;
  const [former] = standing.flatMap((route) => route.former ?? []);
  if (former !== undefined) return fails(TYPE, 'Terminating', leavingText(former));
  if (routes.some((route) => route === undefined)) return unknown(TYPE, 'NotCreated', 'routes not created yet');
  if (doubt !== undefined) return unknown(TYPE, 'NotReadable', `the API server does not tell of ${doubt}`);
  if (gatewayRef === undefined) {
    const found = ofIngresses(routes);
    // It works, so it is True; the date does not move.
    return warning === undefined
      ? found
      : {...found, reason: warning.reason, message: `${found.message}; ${warning.message}`};
  }
  const verdicts = routes.map((route) => gatewayVerdict(route, gatewayRef));
  const refused = verdicts.find((verdict) => verdict.kind === 'refused');
  if (refused !== undefined) return fails(TYPE, refused.reason, `the Gateway refused the route: ${refused.message}`);
  return verdicts.every(({kind}) => kind === 'accepted')
    ? holds(TYPE, 'Accepted', 'the Gateway accepted every route')
    : unknown(
        TYPE,
        'NotAccepted',
        `Gateway ${gatewayRef.name} has not accepted every route yet; see kubectl describe httproute/${hosted[0]?.name}`,
      );
};
