import {type KubeObject} from '../../kube/object.ts';
import {classNameOf} from '../entrances.ts';
import {gatewayVerdict} from '../gateway-verdict.ts';
import {hasAddress} from '../handover.ts';
import {KINDS} from '../kinds.ts';
import {type ConditionInput, fails, type Finding, holds, unknown} from './condition.ts';

const TYPE = 'RouteReady';

const ofIngresses = (routes: readonly (KubeObject | undefined)[]): Finding => {
  const silent = routes.find((route) => !hasAddress(route));
  if (silent === undefined) return holds(TYPE, 'AddressAssigned', 'every Ingress has an address');
  const className = classNameOf(silent);
  const whose = className === undefined ? 'it has no class, and the cluster no default one' : `class ${className}`;
  return unknown(
    TYPE,
    'NoAddress',
    `no ingress controller has given Ingress ${silent.metadata.name} an address (${whose}; see kubectl get ingressclass)`,
  );
};

/**
 * Whether somebody routes the hosts. Many ingress controllers never say so in an Ingress's status, so silence is Unknown
 * and does not keep the region from being ready; a Gateway's refusal does.
 */
export const routeReady = ({context, entrance}: ConditionInput): Finding => {
  const {spec, names, children} = context;
  const {enabled, host, adminHost, gatewayRef} = spec.ingress;
  const hosted = [
    ...(host === undefined ? [] : [names.deviceApi]),
    ...(adminHost === undefined ? [] : [names.adminApi]),
  ];
  if (!enabled || hosted.length === 0) return holds(TYPE, 'NoHosts', 'no host is to be routed');
  const kind = gatewayRef === undefined ? KINDS.ingress : KINDS.httpRoute;
  const routes = hosted.map((name) => children.find(kind, name));
  const {problem, doubt, warning} = entrance;
  if (problem !== undefined) return fails(TYPE, problem.reason, problem.message);
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
        `Gateway ${gatewayRef.name} has not accepted every route yet; see kubectl describe httproute/${hosted[0]}`,
      );
};
