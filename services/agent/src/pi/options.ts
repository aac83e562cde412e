/** The command line of pisync-agent. */
import {parseArgs} from 'node:util';
import {problemOfUrl} from '../client/region-url.ts';

export const AGENT_HELP = `pisync-agent: measures the machine it runs on and syncs with a PiSync region

  pisync-agent --url URL --enrolment-token-file FILE --state-dir DIR [options]

  --url URL                     the region, such as https://eu.sync.example.com
  --enrolment-token-file FILE   an enrolment token; needed until the device is enrolled, and when the region asks for a new enrolment
  --state-dir DIR               identity and spool; made when missing
  --interval SECONDS            between two measurements, default 60
  --sync-every SECONDS          sync at least so often; default: when the region says (nextSyncAt)
  --once                        measure, sync until everything is applied, end
  --measurements N              with --once: measure so many times before the sync, default 1
  --max-queued N                readings kept while the region cannot be reached, default 100000, at most 1000000 and what the memory holds (64 MiB and a KiB for each); beyond it the oldest that were in no batch yet are dropped and counted
  --hardware-id ID              default: the board's serial number, else /etc/machine-id
  --name NAME                   shown to people, default the host name
  --home-hosts NAMES            hosts, with commas between them, to which the region may send the device besides that of --url
  --host-header NAME            Host header, where the URL is an ingress and not the region's name
  --ca-file FILE                TLS: PEM of another authority
  --insecure                    TLS: no verification (laboratory only)
  --timeout SECONDS             for one answer, default 60; with --once also the limit for the whole is ten times this
  --backoff-scale X             multiplies the waits that the region's policy asks for after failures, default 1; less is for a laboratory only
  --ledger FILE                 append every batch and answer (NDJSON), for pisync-fleet judge
  --help

Exit codes: 0 all well; 1 failed, or ended with readings that the disk did not take, or --once ended without everything applied or with readings
given up, set aside by the region or garbled on their way; 2 wrong usage.
`;

export interface AgentOptions {
  readonly url: string;
  readonly tokenFile: string | undefined;
  readonly stateDir: string;
  readonly intervalMs: number;
  readonly syncEveryMs: number | undefined;
  readonly once: boolean;
  readonly measurements: number;
  readonly maxQueued: number;
  readonly hardwareId: string | undefined;
  readonly name: string | undefined;
  readonly homeHosts: readonly string[];
  readonly host: string | undefined;
  readonly caFile: string | undefined;
  readonly insecure: boolean;
  readonly timeoutMs: number;
  readonly backoffScale: number;
  readonly ledger: string | undefined;
}

export type AgentCommand =
  | {readonly kind: 'help'}
  | {readonly kind: 'wrong'; readonly problems: readonly string[]}
  | {readonly kind: 'run'; readonly options: AgentOptions};

const one = {type: 'string'} as const;
const flag = {type: 'boolean'} as const;

const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    options: {
      url: one,
      'enrolment-token-file': one,
      'state-dir': one,
      interval: one,
      'sync-every': one,
      once: flag,
      measurements: one,
      'max-queued': one,
      'hardware-id': one,
      name: one,
      'home-hosts': one,
      'host-header': one,
      'ca-file': one,
      insecure: flag,
      timeout: one,
      'backoff-scale': one,
      ledger: one,
      help: {...flag, short: 'h'},
    },
  }).values;

/** A device is heard once a day at least, so no time of it is longer; and timers hold no more than 24 days. */
const LONGEST_S = 24 * 3600;
/** The spool is read and written in one piece, and a string of JavaScript ends at 512 MiB: at some 200 bytes a reading, and twice that until it is rewritten. */
const MOST_QUEUED = 1_000_000;
const DEFAULT_QUEUED = 100_000;
/** Measured: 51 MiB, and 0.6 KiB for each reading of our own kinds, when a spool is read at the start. With less memory each start would be killed. */
const BASE_BYTES = 64 * 1024 * 1024;
const READING_BYTES = 1024;
/** What a region takes as a name. */
const LONGEST_NAME = 128;

const atMost = (max: number): string => (max === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${max}`);

/** @param memoryBytes what this process may have */
export const parseAgentCommand = (args: readonly string[], memoryBytes = Infinity): AgentCommand => {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return {kind: 'wrong', problems: [error instanceof Error ? error.message : String(error)]};
  }
  if (values.help === true) return {kind: 'help'};
  const problems: string[] = [];
  const number = (name: string, text: string | undefined, fallback: number, max = Number.MAX_SAFE_INTEGER): number => {
    const value = text === undefined ? fallback : Number(text.trim() === '' ? Number.NaN : text);
    if (!(value > 0 && value <= max))
      problems.push(`--${name} must be a number above 0${atMost(max)}, not "${text ?? ''}"`);
    return value;
  };
  const seconds = (name: string, text: string | undefined): number => number(name, text, 60, LONGEST_S) * 1000;
  const short = (name: string, text: string | undefined): string | undefined => {
    if (text !== undefined && (text === '' || text.length > LONGEST_NAME))
      problems.push(`--${name} must have 1 to ${LONGEST_NAME} characters`);
    return text;
  };
  const held = Math.max(Math.floor((memoryBytes - BASE_BYTES) / READING_BYTES), 1);
  const queued = number('max-queued', values['max-queued'], Math.min(DEFAULT_QUEUED, held), MOST_QUEUED);
  if (queued > held && queued <= MOST_QUEUED) {
    const mib = Math.floor(memoryBytes / 1024 / 1024);
    problems.push(
      `--max-queued must be at most ${held}, because this process may have ${mib} MiB of memory (MemoryMax of its unit, or the machine's)`,
    );
  }
  const url = values.url ?? '';
  const stateDir = values['state-dir'] ?? '';
  const urlProblem = problemOfUrl(url);
  if (urlProblem !== undefined) problems.push(urlProblem);
  if (stateDir === '') problems.push('--state-dir is missing');
  const options: AgentOptions = {
    url,
    tokenFile: values['enrolment-token-file'],
    stateDir,
    intervalMs: seconds('interval', values.interval),
    syncEveryMs: values['sync-every'] === undefined ? undefined : seconds('sync-every', values['sync-every']),
    once: values.once ?? false,
    measurements: Math.ceil(number('measurements', values.measurements, 1)),
    maxQueued: Math.ceil(queued),
    hardwareId: short('hardware-id', values['hardware-id']),
    name: short('name', values.name),
    homeHosts: (values['home-hosts'] ?? '').split(',').filter((name) => name !== ''),
    host: values['host-header'],
    caFile: values['ca-file'],
    insecure: values.insecure ?? false,
    timeoutMs: seconds('timeout', values.timeout),
    backoffScale: number('backoff-scale', values['backoff-scale'], 1),
    ledger: values.ledger,
  };
  return problems.length > 0 ? {kind: 'wrong', problems} : {kind: 'run', options};
};
