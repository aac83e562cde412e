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
  /** Whether it is about changes: `cel` uses `oldSelf` or the status, which a new region does not have. */
  readonly transition: boolean;
  readonly holds: (now: RegionView, before: Before) => boolean;
}

interface RegionView {
  readonly name: string;
  readonly spec: RegionSpec;
}

/** What a change is compared with. */
export interface Before {
  /** Absent for a region that has no data yet: a rule that needs it then holds. */
  readonly accepted: Accepted | undefined;
  /** Shards with a lower number than this may have devices on them. */
  readonly admitted: number;
  /** Sizes of the volumes that there are. */
  readonly volumes: {readonly postgres: readonly string[]; readonly rabbitmq: readonly string[]};
}

export const NOTHING_BEFORE: Before = {accepted: undefined, admitted: 0, volumes: {postgres: [], rabbitmq: []}};

/** The part of a spec whose change is limited, as it was when the region's data was made. */
export interface Accepted {
  readonly region: string;
  readonly postgres: {
    /** How many of them were admitted; the wish may be larger. */
    readonly shards: number;
    readonly storage: Storage;
  };
  readonly rabbitmq: {readonly partitions: number; readonly storage: Storage};
}

export const acceptedOf = ({region, postgres, rabbitmq}: RegionSpec, admitted: number): Accepted => ({
  region,
  postgres: {shards: admitted, storage: postgres.storage},
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
  holds: ({spec}, {accepted}) => accepted === undefined || rule.holds(spec, accepted),
});

export const celList = (items: readonly string[]): string => `[${items.map((item) => `'${item}'`).join(', ')}]`;
