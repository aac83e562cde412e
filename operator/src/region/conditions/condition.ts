import {type Outcome} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {type Entrance} from '../entrance.ts';
import {type RegionFacts} from '../facts.ts';
import {type Progress} from '../progress.ts';
import {type Region} from '../region.ts';
import {type StandingRoute} from '../standing-routes.ts';

/** What a condition is made from. */
export interface ConditionInput {
  /** With what was said about it last. */
  readonly region: Region;
  readonly now: Date;
  readonly context: RegionContext;
  readonly progress: Progress;
  readonly told: RegionFacts;
  readonly entrance: Entrance;
  readonly outcome: Outcome;
  /** The routes that there are after the pass. */
  readonly routes: readonly StandingRoute[];
}

/** A condition before it gets its times. Three-valued: Unknown while there is nothing to judge yet. */
export interface Finding {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export const holds = (type: string, reason: string, message: string): Finding => ({
  type,
  status: 'True',
  reason,
  message,
});

export const fails = (type: string, reason: string, message: string): Finding => ({
  type,
  status: 'False',
  reason,
  message,
});

export const unknown = (type: string, reason: string, message: string): Finding => ({
  type,
  status: 'Unknown',
  reason,
  message,
});

/** The reason while a change rolls out and nothing is in its way. */
export const UPDATING = 'Updating';

/** The reason while everything runs and the keeper is about to try whether it works. */
export const NOT_TRIED = 'NotTried';
