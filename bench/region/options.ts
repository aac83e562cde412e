import {parseArgs} from 'node:util';

export const HELP = `usage: node bench/region/main.ts [options]     ("make bench REGION=1" starts the cluster and builds the images first)

Makes a region by its defaults on the local cluster, and sends it the syncs of cold fleets through its ingress: a steady day, 333, 700 and 1,000 a second, a
herd, an enrolment; with autoscaling off and on. Calls are sent when they are due, and time counts from then. Prints a table; writes out/bench-region.json,
out/bench-region.html and out/bench-region-cpu.svg. It alone should run on the machine.

  --quick            one short round: about five minutes
  --rounds N         default 3, which takes about half an hour; each begins with a new region
  --scenario NAME    only this one; may be given again
  --records N        of each sync, default 20
  --compare REV      another commit's chart and images, measured in the same run, one side after the other in each round: twice the time

  --profile          besides, what functions of one device-api and one worker use processor time in the middle of each paced scenario:
                     out/bench-*.cpuprofile; it costs them time, and the report says so

  --no-probes        ask neither shards nor the admin API when a sync is applied and visible: the processor time is then of the syncs alone
  --while COMMAND    instead of all that: whether syncs stay as fast while this shell command runs, again and again, where kubectl reaches the cluster
                     ($PISYNC_BENCH_NAMESPACE has the region "bench"). Half of what the region takes, three rounds with and without
  --within PERCENT   with --while: how much slower they may be besides the spread of the rounds without, default 20

Exit codes: 0 done; 1 it failed, or syncs were slower than --within says, or a sync was never accepted or never applied; 2 wrong usage.
`;

export interface Options {
  readonly quick: boolean;
  readonly rounds: number;
  readonly scenarios: readonly string[];
  readonly records: number;
  readonly compare: string | undefined;
  readonly profile: boolean;
  readonly probes: boolean;
  readonly during: {readonly command: string; readonly withinPercent: number} | undefined;
}

export type Command =
  | {readonly kind: 'help'}
  | {readonly kind: 'wrong'; readonly problems: readonly string[]}
  | {readonly kind: 'run'; readonly options: Options};

const one = {type: 'string'} as const;

/** @param known the scenarios there are */
export const parseCommand = (args: readonly string[], known: readonly string[]): Command => {
  const parsed = (() => {
    try {
      return parseArgs({
        args: [...args],
        options: {
          quick: {type: 'boolean', default: false},
          rounds: one,
          scenario: {...one, multiple: true, default: []},
          records: one,
          compare: one,
          profile: {type: 'boolean', default: false},
          'no-probes': {type: 'boolean', default: false},
          while: one,
          within: one,
          help: {type: 'boolean', default: false},
        },
      }).values;
    } catch (error) {
      // It throws on an unknown option and says which.
      return error instanceof Error ? error.message : String(error);
    }
  })();
  if (typeof parsed === 'string') return {kind: 'wrong', problems: [parsed]};
  if (parsed.help) return {kind: 'help'};
  const problems: string[] = [];
  const whole = (name: string, text: string | undefined, fallback: number, least: number): number => {
    if (text === undefined) return fallback;
    if (/^\d+$/.test(text) && Number(text) >= least) return Number(text);
    problems.push(`--${name} must be a whole number of at least ${least}, not "${text}"`);
    return fallback;
  };
  const rounds = whole('rounds', parsed.rounds, parsed.quick ? 1 : 3, 1);
  const records = whole('records', parsed.records, 20, 0);
  const withinPercent = whole('within', parsed.within, 20, 0);
  const unknown = parsed.scenario.filter((name) => !known.includes(name));
  if (unknown.length > 0) problems.push(`there is no scenario ${unknown.join(', ')}; there are ${known.join(', ')}`);
  if (parsed.within !== undefined && parsed.while === undefined) problems.push('--within needs --while');
  if (parsed.compare !== undefined && parsed.while !== undefined)
    problems.push('--compare and --while exclude each other');
  if (parsed['no-probes'] && parsed.while !== undefined) problems.push('--while needs the probes');
  if (problems.length > 0) return {kind: 'wrong', problems};
  return {
    kind: 'run',
    options: {
      ...{
        quick: parsed.quick,
        rounds,
        scenarios: parsed.scenario,
        records,
        compare: parsed.compare,
        profile: parsed.profile,
        probes: !parsed['no-probes'],
      },
      during: parsed.while === undefined ? undefined : {command: parsed.while, withinPercent},
    },
  };
};
