import {type Desired} from '../kube/controller.ts';
import {type RegionContext} from './context.ts';

const entriesOf = (value: unknown): readonly (readonly [string, unknown])[] =>
  typeof value === 'object' && value !== null ? Object.entries(value) : [];

/**
 * Whether the server has a ConfigMap as it should be. What reads it once, at its start, is not started or restarted for it before: it would come up on the
 * old text, and nothing would restart it for the new one.
 */
export const isInForce = ({children}: RegionContext, {manifest}: Desired): boolean => {
  const live = children.configMap(manifest.metadata.name);
  return live !== undefined && entriesOf(manifest['data']).every(([key, text]) => live[key] === text);
};
