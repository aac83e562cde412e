import {type RegionStatus} from '../../api/v1alpha1/status.ts';

const statusOf = (status: RegionStatus, type: string): string | undefined =>
  status.conditions?.find((condition) => condition.type === type)?.status;

/**
 * What must hold for every status that is ever written. Answers the laws that are broken, numbered so that a test's message says which.
 */
export const brokenLaws = (status: RegionStatus, generation: number, before?: RegionStatus): readonly string[] => {
  const conditions = status.conditions ?? [];
  const ready = statusOf(status, 'Ready');
  const laws: readonly (readonly [law: string, holds: boolean])[] = [
    [
      '1: Ready, Reconciling and Stalled are always present',
      ['Ready', 'Reconciling', 'Stalled'].every((type) => statusOf(status, type) !== undefined),
    ],
    [
      '2: Ready is never True while Reconciling or Stalled is',
      ready !== 'True' || (statusOf(status, 'Reconciling') === 'False' && statusOf(status, 'Stalled') === 'False'),
    ],
    [
      '3: Reconciling and Stalled are never True together',
      !(statusOf(status, 'Reconciling') === 'True' && statusOf(status, 'Stalled') === 'True'),
    ],
    [
      '4: no observedGeneration is beyond the generation',
      [status.observedGeneration, ...conditions.map((condition) => condition.observedGeneration)].every(
        (observed) => (observed ?? 0) <= generation,
      ),
    ],
    [
      '5: when Ready is True every observedGeneration is the generation',
      ready !== 'True' ||
        [status.observedGeneration, ...conditions.map((condition) => condition.observedGeneration)].every(
          (observed) => observed === generation,
        ),
    ],
    ['6: types are unique', new Set(conditions.map(({type}) => type)).size === conditions.length],
    [
      '7: every condition says why',
      conditions.every(({reason, message}) => /^[A-Z][A-Za-z0-9]*$/.test(reason) && message !== ''),
    ],
    [
      '8: lastTransitionTime changes exactly with the status',
      conditions.every(({type, status: now, lastTransitionTime}) => {
        const earlier = before?.conditions?.find((condition) => condition.type === type);
        return (
          earlier === undefined || (earlier.status === now) === (earlier.lastTransitionTime === lastTransitionTime)
        );
      }),
    ],
    ['9: the phase is Ready exactly when Ready is True', (status.phase === 'Ready') === (ready === 'True')],
    [
      '10: nothing is empty, which the API server would store as null',
      Object.values(status).every((value) => typeof value !== 'object' || Object.keys(value).length > 0),
    ],
  ];
  return laws.filter(([, holds]) => !holds).map(([law]) => law);
};
