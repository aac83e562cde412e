import {type PartName} from '../../api/v1alpha1/status.ts';
import {type Outcome} from '../../kube/controller.ts';
import {oneLine} from '../../kube/errors.ts';
import {quantityBytes} from '../../api/v1alpha1/quantity.ts';
import {type Volume} from '../children.ts';
import {type RegionContext} from '../context.ts';
import {dataClaims} from '../data-claims.ts';
import {DATA_VOLUME} from '../names.ts';
import {pendingOf, volumeRefusals} from '../outcomes.ts';

/** Why volumes are not as the spec says. Data is served meanwhile, so the region waits for none of it. */

const LONGEST_CAUSE = 300;

const said = (volume: Volume, type: string): string | undefined => {
  const found = volume.conditions.find((condition) => condition.type === type && condition.status === 'True');
  return found && oneLine(found.message).slice(0, LONGEST_CAUSE);
};

/** From the claim's own words, the most telling first. Kubernetes 1.30 says `Failed` where later ones say `Infeasible`. */
const stateOf = (name: string, volume: Volume): string => {
  const details = `kubectl describe pvc/${name}`;
  const {resize = ''} = volume;
  const refused = said(volume, 'ControllerResizeError');
  if (refused !== undefined || /^ControllerResize(Infeasible|Failed)$/.test(resize)) {
    return `its storage driver refuses it: ${refused ?? `see ${details}`}. Mend that, or ask for less`;
  }
  const broken = said(volume, 'NodeResizeError');
  if (broken !== undefined || /^NodeResize(Infeasible|Failed)$/.test(resize)) {
    return `its node cannot enlarge the file system: ${broken ?? `see ${details}`}`;
  }
  if (said(volume, 'FileSystemResizePending') !== undefined || resize.startsWith('NodeResize')) {
    return `the disk has grown, and the file system does on its node; a driver that needs a new mount for it waits for kubectl delete pod/${name.slice(DATA_VOLUME.length + 1)}`;
  }
  if (said(volume, 'Resizing') !== undefined || resize !== '') {
    return `its storage driver is at work; if that does not end, see ${details}`;
  }
  return `its storage driver has not begun; if it never does, it cannot grow volumes: see ${details}`;
};

const reasonOf = (name: string, volume: Volume, wished: string): string | undefined => {
  const {requested, size} = volume;
  if (size === undefined || quantityBytes(size) >= quantityBytes(requested)) return undefined;
  return quantityBytes(wished) <= quantityBytes(size)
    ? `claim ${name} still asks for ${requested}, which Kubernetes does not take back to the ${size} that there are: the volume may yet grow, and nothing needs to be done`
    : `volume of claim ${name} grows from ${size} to ${requested}: ${stateOf(name, volume)}`;
};

const PARTS = {postgres: 'database', rabbitmq: 'broker'} as const satisfies Record<string, PartName>;

/** What waits, by the part of the region that it belongs to. */
export const unfulfilled = (
  context: RegionContext,
  outcome: Outcome,
): readonly {readonly component: string; readonly reason: string}[] => {
  const refused = volumeRefusals(outcome);
  const refusals = new Map(refused.map(({key, message}) => [key.name, message] as const));
  const claims = dataClaims(context.name, context.spec);
  const names = new Set(claims.map(({name}) => name));
  const waiting = claims.flatMap(({name, component}) => {
    const volume = context.children.volume(name);
    if (volume === undefined) return [];
    const {size: wished} = context.spec[component].storage;
    const {requested, size = requested} = volume;
    const isWanted = quantityBytes(wished) > quantityBytes(size);
    const refusal = refusals.get(name);
    const advice = isWanted
      ? `. Let it be changed to ${wished}, or take spec.${component}.storage.size back to ${size}`
      : '';
    const reason = refusal === undefined ? reasonOf(name, volume, wished) : `${refusal}${advice}`;
    return reason === undefined ? [] : [{component: PARTS[component], reason}];
  });
  // Claims of shards that were taken back, which are of no part any more.
  return [...waiting, ...refused.filter(({key}) => !names.has(key.name)).map(pendingOf)];
};
