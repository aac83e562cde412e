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

/** 20,000 devices that sync once a minute; as many as two cores take; more than they take. */
const PACES = [333, 700, 1000] as const;
/** 50,000 devices that sync once a day. */
const DAY_PER_SECOND = 50_000 / 86_400;
const ENROLMENTS_PER_SECOND = 100;

export interface Sizes {
  readonly fixedSeconds: number;
  /** Long enough for an autoscaler to see the load, act, and see what came of it. */
  readonly autoscaledSeconds: number;
  readonly daySeconds: number;
  readonly herd: number;
}

export const SIZES = {
  quick: {fixedSeconds: 8, autoscaledSeconds: 15, daySeconds: 10, herd: 1000},
  full: {fixedSeconds: 20, autoscaledSeconds: 45, daySeconds: 20, herd: 3000},
} as const satisfies Readonly<Record<string, Sizes>>;

export const scenariosOf = ({fixedSeconds, autoscaledSeconds, daySeconds, herd}: Sizes): readonly Scenario[] => [
  {
    name: 'enrolment',
    title: `enrolment, ${ENROLMENTS_PER_SECOND} a second`,
    autoscaling: false,
    load: {kind: 'enrol', perSecond: ENROLMENTS_PER_SECOND},
    count: ENROLMENTS_PER_SECOND * Math.ceil(fixedSeconds / 2),
  },
  {
    name: 'day',
    title: 'a steady day of 50,000 devices',
    autoscaling: false,
    load: {kind: 'sync', perSecond: DAY_PER_SECOND, batchesPerDevice: 1},
    count: Math.ceil(DAY_PER_SECOND * daySeconds),
  },
  ...PACES.map((perSecond) => paced(perSecond, fixedSeconds, false)),
  {
    name: 'herd',
    title: `${herd} devices at once`,
    autoscaling: false,
    load: {kind: 'sync', perSecond: null, batchesPerDevice: 1},
    count: herd,
  },
  paced(PACES[0], autoscaledSeconds, true),
  paced(PACES[1], autoscaledSeconds, true),
];

/** Devices that have to be there before, besides those that an enrolment leaves. */
export const devicesFor = ({load, count}: Scenario): number =>
  load.kind === 'enrol' ? 0 : Math.ceil(count / load.batchesPerDevice);
