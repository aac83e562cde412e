import {quantityBytes, quantityMillis, type Resources} from './quantity.ts';
import {always, type Rule} from './rule.ts';
import {type RegionSpec} from './spec.ts';

/** Below these nothing runs; most such values are a unit that was left out. */
const LEAST_MEMORY = '16Mi';
const LEAST_CPU = '1m';
/** No node has as much. */
const MOST_MEMORY = '64Ti';
const MOST_CPU = '4096';

type Read = (resources: Resources) => string | number | undefined;

/** Kubernetes would refuse the pods, or end them at once; said here, it is said with the path of the field. */
export const resourceRules = (at: string, of: (spec: RegionSpec) => Resources): readonly Rule[] => {
  const between = (
    field: string,
    read: Read,
    [minimum, maximum]: readonly [string, string],
    measure: (amount: string | number) => number,
  ): Rule => {
    const value = `self${field}`;
    return always({
      at,
      field,
      cel: `!has(${value}) || (quantity(string(${value})).compareTo(quantity('${minimum}')) >= 0 && quantity(string(${value})).compareTo(quantity('${maximum}')) <= 0)`,
      message: `at least ${minimum} and at most ${maximum}, with a unit, e.g. ${minimum === LEAST_CPU ? '250m' : '512Mi'}`,
      holds: ({spec}) => {
        const amount = read(of(spec));
        return amount === undefined || (measure(amount) >= measure(minimum) && measure(amount) <= measure(maximum));
      },
    });
  };
  return [
    between('.requests.cpu', ({requests}) => requests.cpu, [LEAST_CPU, MOST_CPU], quantityMillis),
    between('.limits.cpu', ({limits}) => limits.cpu, [LEAST_CPU, MOST_CPU], quantityMillis),
    between('.requests.memory', ({requests}) => requests.memory, [LEAST_MEMORY, MOST_MEMORY], quantityBytes),
    between('.limits.memory', ({limits}) => limits.memory, [LEAST_MEMORY, MOST_MEMORY], quantityBytes),
    always({
      at,
      field: '.requests.memory',
      cel: 'quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0',
      message: 'a pod cannot be promised more memory than its limit; lower requests.memory or raise limits.memory',
      holds: ({spec}) => {
        const {requests, limits} = of(spec);
        return quantityBytes(requests.memory) <= quantityBytes(limits.memory);
      },
    }),
    always({
      at,
      field: '.requests.cpu',
      cel: '!has(self.limits.cpu) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0',
      message: 'a pod cannot be promised more CPU than its limit; lower requests.cpu or raise limits.cpu',
      holds: ({spec}) => {
        const {requests, limits} = of(spec);
        return limits.cpu === undefined || quantityMillis(requests.cpu) <= quantityMillis(limits.cpu);
      },
    }),
  ];
};
