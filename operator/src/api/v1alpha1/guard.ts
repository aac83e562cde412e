import {type Before} from './rule.ts';
import {RULES} from './rules.ts';
import {type RegionSpec, specSchema} from './spec.ts';

export interface SpecProblem {
  /** Path of the field, e.g. `spec.workers.autoscaling.minReplicas`. */
  readonly path: string;
  readonly message: string;
  /** It is about a change: the same value was right for a new region. */
  readonly transition: boolean;
}

export type Verdict =
  | {readonly kind: 'valid'; readonly spec: RegionSpec}
  | {readonly kind: 'invalid'; readonly problems: readonly SpecProblem[]};

/**
 * The same judgement that the API server makes at admission, made again before anything is planned: types, bounds and defaults by the schema,
 * then every rule.
 */
export const judge = (name: string, spec: unknown, before: Before): Verdict => {
  const parsed = specSchema.safeParse(spec);
  if (!parsed.success) {
    return {
      kind: 'invalid',
      problems: parsed.error.issues.map(({path, message}) => ({
        // As the API server writes it: `spec.postgres.podTemplate.volumes[0].mountPath`.
        path: ['spec', ...path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))].join(''),
        message,
        transition: false,
      })),
    };
  }
  const problems = RULES.filter((rule) => !rule.holds({name, spec: parsed.data}, before)).map(
    ({at, field, message, transition}) => ({path: `${at}${field}`.replace(/^\./, ''), message, transition}),
  );
  return problems.length === 0 ? {kind: 'valid', spec: parsed.data} : {kind: 'invalid', problems};
};
