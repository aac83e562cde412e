import {type RegionSpec} from './spec.ts';
import {type Storage} from './storage.ts';

/**
 * Rules that a schema of types, patterns and bounds cannot express, each written once: `cel` is what the API server evaluates (it goes into the CRD), `holds` is
 * the same in TypeScript, for the guard in front of the plan. The guard matters where the CRD is older than the operator or was changed by hand.
 */
export interface Rule {
  /** The schema node that the CEL expression sees as `self`; empty for the whole object. */
  readonly at: string;
  /** The field that is wrong, relative to `at`, as CEL's fieldPath: `.size`, or empty for the node itself. */
  readonly field: string;
  readonly cel: string;
  readonly message: string;
  /** Whether `cel` uses `oldSelf`: such a rule is about changes only. */
  readonly transition: boolean;
  /** `before` is what was accepted last, absent for a new region (a transition rule then holds). */
  readonly holds: (now: RegionView, before: Accepted | undefined) => boolean;
}

interface RegionView {
  readonly name: string;
  readonly spec: RegionSpec;
}

/** The part of a spec whose change is limited. */
export interface Accepted {
  readonly region: string;
  readonly postgres: {readonly shards: number; readonly storage: Storage};
  readonly rabbitmq: {readonly partitions: number; readonly storage: Storage};
}

export const acceptedOf = ({region, postgres, rabbitmq}: RegionSpec): Accepted => ({
  region,
  postgres: {shards: postgres.shards, storage: postgres.storage},
  rabbitmq: {partitions: rabbitmq.partitions, storage: rabbitmq.storage},
});

export const always = (
  rule: Omit<Rule, 'transition' | 'holds'> & {readonly holds: (now: RegionView) => boolean},
): Rule => ({
  ...rule,
  transition: false,
});

export const onChange = (
  rule: Omit<Rule, 'transition' | 'holds'> & {readonly holds: (now: RegionSpec, before: Accepted) => boolean},
): Rule => ({
  ...rule,
  transition: true,
  holds: ({spec}, before) => before === undefined || rule.holds(spec, before),
});

export const celList = (items: readonly string[]): string => `[${items.map((item) => `'${item}'`).join(', ')}]`;
