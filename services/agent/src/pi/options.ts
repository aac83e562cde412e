/** The command line of pisync-agent. */
import {parseArgs} from 'node:util';

export const AGENT_HELP = `pisync-agent: measures the machine it runs on and syncs with a PiSync region

  pisync-agent --url URL --enrolment-token-file FILE --state-dir DIR [options]

  --url URL                     the region, such as https://eu.sync.example.com
  --enrolment-token-file FILE   an enrolment token; needed until the device is enrolled
  --state-dir DIR               identity and spool; made when missing
  --interval SECONDS            between two measurements, default 60
  --sync-every SECONDS          sync at least so often; default: when the region says (nextSyncAt)
  --once                        measure, sync until everything is applied, end
  --measurements N              with --once: measure so many times before the sync, default 1
  --max-queued N                readings kept while the region cannot be reached, default 100000; beyond it the oldest are dropped and counted
  --hardware-id ID              default: the board's serial number, else /etc/machine-id
  --name NAME                   shown to people, default the host name
  --host-header NAME            Host header, where the URL is an ingress and not the region's name
  --ca-file FILE                TLS: PEM of another authority
  --insecure                    TLS: no verification (laboratory only)
  --timeout SECONDS             for one answer, default 60; with --once also the limit for the whole is ten times this
  --backoff-scale X             multiplies the waits that the region's policy asks for after failures, default 1; less is for a laboratory only
  --ledger FILE                 append every batch and answer (NDJSON), for pisync-fleet judge
  --help

Exit codes: 0 all well; 1 failed, or --once ended without everything applied; 2 wrong usage.
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
      'host-header': one,
      'ca-file': one,
      insecure: flag,
      timeout: one,
      'backoff-scale': one,
      ledger: one,
      help: {...flag, short: 'h'},
    },
  }).values;

export const parseAgentCommand = (args: readonly string[]): AgentCommand => {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return {kind: 'wrong', problems: [error instanceof Error ? error.message : String(error)]};
  }
  if (values.help === true) return {kind: 'help'};
  const problems: string[] = [];
  const number = (name: string, text: string | undefined, fallback: number): number => {
    const value = text === undefined ? fallback : Number(text.trim() === '' ? Number.NaN : text);
    if (!(value > 0 && Number.isFinite(value)))
      problems.push(`--${name} must be a number above 0, not "${text ?? ''}"`);
    return value;
  };
  const url = values.url ?? '';
  const stateDir = values['state-dir'] ?? '';
  if (!URL.canParse(url)) problems.push(url === '' ? '--url is missing' : `--url is not a URL: "${url}"`);
  if (stateDir === '') problems.push('--state-dir is missing');
  const options: AgentOptions = {
    url,
    tokenFile: values['enrolment-token-file'],
    stateDir,
    intervalMs: number('interval', values.interval, 60) * 1000,
    syncEveryMs: values['sync-every'] === undefined ? undefined : number('sync-every', values['sync-every'], 60) * 1000,
    once: values.once ?? false,
    measurements: Math.ceil(number('measurements', values.measurements, 1)),
    maxQueued: Math.ceil(number('max-queued', values['max-queued'], 100_000)),
    hardwareId: values['hardware-id'],
    name: values.name,
    host: values['host-header'],
    caFile: values['ca-file'],
    insecure: values.insecure ?? false,
    timeoutMs: number('timeout', values.timeout, 60) * 1000,
    backoffScale: number('backoff-scale', values['backoff-scale'], 1),
    ledger: values.ledger,
  };
  return problems.length > 0 ? {kind: 'wrong', problems} : {kind: 'run', options};
};
