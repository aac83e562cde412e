import {type RegionContext} from '../context.ts';
import {type Entrance} from '../entrance.ts';
import {type RegionFacts} from '../facts.ts';
import {type Progress} from '../progress.ts';

/** What a condition is made from. */
export interface ConditionInput {
  readonly context: RegionContext;
  readonly progress: Progress;
  readonly told: RegionFacts;
  readonly entrance: Entrance;
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
