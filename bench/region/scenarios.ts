/** What a region is put through, in this order. */

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Whether the region's autoscalers are on, as its defaults say, or its tiers stay at two pods. */
  readonly autoscaling: boolean;
  readonly load:
    | {readonly kind: 'enrol'; readonly perSecond: number | null}
    | {readonly kind: 'sync'; readonly perSecond: number | null; readonly batchesPerDevice: number};
  /** How many in all. */
  readonly count: number;
}

const paced = (perSecond: number, seconds: number, autoscaling: boolean): Scenario => ({
  name: `${perSecond}-${autoscaling ? 'autoscaled' : 'fixed'}`,
  title: `${perSecond} syncs/s, ${autoscaling ? 'autoscaling on (default)' : 'autoscaling off'}`,
  autoscaling,
  // A fleet syncs once a day: hardly a device is known to the process that it meets.
  load: {kind: 'sync', perSecond, batchesPerDevice: 2},
  count: perSecond * seconds,
});

/** Half of what two cores take of a cold fleet, and about as much as they take: 20,000 devices that sync once a minute. */
const CALM = 150;
const FULL = 333;
/** More than they take. */
const OVERLOADS = [700, 1000] as const;
/** 50,000 devices that sync once a day. */
const DAY_PER_SECOND = 50_000 / 86_400;
const ENROLMENTS_PER_SECOND = 100;

/** Before all others, and not told: so that what is measured is a region that has served devices before. The first minute of new processes is another matter. */
export const WARM_UP = {
  load: {kind: 'sync', perSecond: 100, batchesPerDevice: 2},
  count: 3000,
} as const satisfies Pick<Scenario, 'load' | 'count'>;

export interface Sizes {
  readonly enrolmentSeconds: number;
  /** Long enough for an autoscaler to see the load, act, and see what came of it; as long without one, because what is late adds up. */
  readonly pacedSeconds: number;
  /** Of the time in which they become due; to catch up takes longer. */
  readonly overloadSeconds: number;
  readonly daySeconds: number;
  readonly herd: number;
}

export const SIZES = {
  quick: {enrolmentSeconds: 8, pacedSeconds: 15, overloadSeconds: 5, daySeconds: 10, herd: 1000},
  full: {enrolmentSeconds: 20, pacedSeconds: 45, overloadSeconds: 10, daySeconds: 20, herd: 3000},
} as const satisfies Readonly<Record<string, Sizes>>;

export const scenariosOf = (sizes: Sizes): readonly Scenario[] => [
  {
    name: 'enrolment',
    title: `enrolment, ${ENROLMENTS_PER_SECOND} a second`,
    autoscaling: false,
    load: {kind: 'enrol', perSecond: ENROLMENTS_PER_SECOND},
    count: ENROLMENTS_PER_SECOND * sizes.enrolmentSeconds,
  },
  {
    name: 'day',
    title: 'a steady day of 50,000 devices',
    autoscaling: false,
    load: {kind: 'sync', perSecond: DAY_PER_SECOND, batchesPerDevice: 1},
    count: Math.ceil(DAY_PER_SECOND * sizes.daySeconds),
  },
  paced(CALM, sizes.pacedSeconds, false),
  paced(FULL, sizes.pacedSeconds, false),
  ...OVERLOADS.map((perSecond) => paced(perSecond, sizes.overloadSeconds, false)),
  {
    name: 'herd',
    title: `${sizes.herd} devices at once`,
    autoscaling: false,
    load: {kind: 'sync', perSecond: null, batchesPerDevice: 1},
    count: sizes.herd,
  },
  paced(CALM, sizes.pacedSeconds, true),
  paced(FULL, sizes.pacedSeconds, true),
];

/** Devices that have to be there before, besides those that an enrolment leaves. */
export const devicesFor = ({load, count}: Pick<Scenario, 'load' | 'count'>): number =>
  load.kind === 'enrol' ? 0 : Math.ceil(count / load.batchesPerDevice);
