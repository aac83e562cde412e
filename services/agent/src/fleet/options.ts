/** The command line of pisync-fleet. */
import {parseArgs} from 'node:util';
import {problemOfUrl} from '../client/region-url.ts';

export const FLEET_HELP = `pisync-fleet: simulates many devices, and judges what became of what they sent

  pisync-fleet run   --url URL --enrolment-token-file FILE [options]
  pisync-fleet judge --ledger FILE [--ledger FILE ...] --shards-file FILE [options]

run
  --url URL                     the region, or an ingress in front of it
  --host NAME                   Host header, where the URL is an ingress
  --enrolment-token-file FILE   an enrolment token
  --devices N                   default 1000
  --batches N                   syncs of each device, default 3
  --records N                   records of each batch, default 20
  --duration SECONDS            the syncs become due within this time, default 30
  --ramp SECONDS                the rate grows from zero within this time, default a tenth of the duration
  --deadline SECONDS            retries go on for so long after the last due time, default 120
  --concurrency N               sockets, default 256
  --timeout SECONDS             for one answer, default 30
  --backoff-scale X             multiplies the waits that the region's policy asks for, default 1
  --run NAME                    names the devices; default a random one, so that devices are new
  --ledger FILE                 append every batch and answer (NDJSON)
  --report FILE                 write the report as JSON
  --ca-file FILE, --insecure    TLS: another authority; no verification (laboratory only)

judge
  --ledger FILE                 what was sent and answered; may be given again
  --shards-file FILE            every shard, one postgres://user:password@host:port/database a line
  --wait SECONDS                for queues to drain, default 60
  --report FILE                 write the verdict as JSON

Exit codes: 0 all well; 1 the judge found something, or batches were left without a 2xx; 2 wrong usage; 130 interrupted.
`;

export interface RunOptions {
  readonly url: string;
  readonly host: string | undefined;
  readonly tokenFile: string;
  readonly devices: number;
  readonly batches: number;
  readonly records: number;
  readonly durationMs: number;
  readonly rampMs: number;
  readonly deadlineMs: number;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly backoffScale: number;
  readonly run: string | undefined;
  readonly ledger: string | undefined;
  readonly report: string | undefined;
  readonly caFile: string | undefined;
  readonly insecure: boolean;
}

export interface JudgeOptions {
  readonly ledgers: readonly string[];
  readonly shardsFile: string;
  readonly waitMs: number;
  readonly report: string | undefined;
}

export type FleetCommand =
  | {readonly kind: 'help'}
  | {readonly kind: 'wrong'; readonly problems: readonly string[]}
  | {readonly kind: 'run'; readonly options: RunOptions}
  | {readonly kind: 'judge'; readonly options: JudgeOptions};

const one = {type: 'string'} as const;
const flag = {type: 'boolean'} as const;

/** Collects every problem, so that a person corrects a command line once. */
class Reader {
  readonly problems: string[] = [];

  number(name: string, text: string | undefined, fallback: number, min: number, whole: boolean): number {
    if (text === undefined) return fallback;
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isFinite(value) && value >= min && (!whole || Number.isInteger(value))) return value;
    this.problems.push(`--${name} must be a ${whole ? 'whole ' : ''}number of at least ${min}, not "${text}"`);
    return fallback;
  }

  required(name: string, value: string | undefined): string {
    if (value === undefined || value === '') this.problems.push(`--${name} is missing`);
    return value ?? '';
  }
}

const parseRun = (args: readonly string[]): FleetCommand => {
  const {values} = parseArgs({
    args: [...args],
    options: {
      url: one,
      host: one,
      'enrolment-token-file': one,
      devices: one,
      batches: one,
      records: one,
      duration: one,
      ramp: one,
      deadline: one,
      concurrency: one,
      timeout: one,
      'backoff-scale': one,
      run: one,
      ledger: one,
      report: one,
      'ca-file': one,
      insecure: flag,
    },
  });
  const read = new Reader();
  const durationMs = read.number('duration', values.duration, 30, 0, false) * 1000;
  const options: RunOptions = {
    url: values.url ?? '',
    host: values.host,
    tokenFile: read.required('enrolment-token-file', values['enrolment-token-file']),
    devices: read.number('devices', values.devices, 1000, 1, true),
    batches: read.number('batches', values.batches, 3, 1, true),
    records: read.number('records', values.records, 20, 0, true),
    durationMs,
    rampMs: read.number('ramp', values.ramp, durationMs / 10_000, 0, false) * 1000,
    deadlineMs: read.number('deadline', values.deadline, 120, 0, false) * 1000,
    concurrency: read.number('concurrency', values.concurrency, 256, 1, true),
    timeoutMs: read.number('timeout', values.timeout, 30, 0.1, false) * 1000,
    backoffScale: read.number('backoff-scale', values['backoff-scale'], 1, 0, false),
    run: values.run,
    ledger: values.ledger,
    report: values.report,
    caFile: values['ca-file'],
    insecure: values.insecure ?? false,
  };
  const urlProblem = problemOfUrl(options.url);
  if (urlProblem !== undefined) read.problems.unshift(urlProblem);
  return read.problems.length > 0 ? {kind: 'wrong', problems: read.problems} : {kind: 'run', options};
};

const parseJudge = (args: readonly string[]): FleetCommand => {
  const {values} = parseArgs({
    args: [...args],
    options: {ledger: {...one, multiple: true}, 'shards-file': one, wait: one, report: one},
  });
  const read = new Reader();
  read.required('ledger', values.ledger?.[0]);
  const shardsFile = read.required('shards-file', values['shards-file']);
  const waitMs = read.number('wait', values.wait, 60, 0, false) * 1000;
  const options = {ledgers: values.ledger ?? [], shardsFile, waitMs, report: values.report};
  return read.problems.length > 0 ? {kind: 'wrong', problems: read.problems} : {kind: 'judge', options};
};

export const parseFleetCommand = (args: readonly string[]): FleetCommand => {
  const [command, ...rest] = args;
  if (command === undefined || args.includes('--help') || args.includes('-h') || command === 'help')
    return {kind: 'help'};
  try {
    if (command === 'run') return parseRun(rest);
    if (command === 'judge') return parseJudge(rest);
    return {kind: 'wrong', problems: [`"${command}" is neither run nor judge`]};
  } catch (error) {
    // parseArgs throws on an unknown option and says which.
    return {kind: 'wrong', problems: [error instanceof Error ? error.message : String(error)]};
  }
};
