import {spawn} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {clusterFile, ROOT} from './files.ts';
import {type Region} from './region.ts';
import {run} from './run.ts';

/** What the judge says; see services/agent. */
export interface Verdict {
  readonly ok: boolean;
  readonly acked: number;
  readonly applied: number;
  readonly lost: number;
  readonly duplicated: number;
}

/** What the simulator counted; see services/agent. */
export interface Report {
  readonly acked: number;
  /** Calls that got no 2xx, by what went wrong. */
  readonly errors: Readonly<Record<string, number>>;
  /** One call, whatever its answer. */
  readonly request: {readonly maxMs: number};
}

/** One call of a device that sent a batch, whatever its answer. */
export interface TimedCall {
  readonly device: string;
  readonly tookMs: number;
}

export interface RunningFleet {
  /** Ends when every device has synced all its batches; fails when the simulator does. */
  readonly done: Promise<Report>;
  /** Those that have ended. */
  calls(): readonly TimedCall[];
  /** Compares what devices were told with what the shards hold. */
  judge(): Promise<Verdict>;
}

const PROGRAM = join(ROOT, 'services/agent/src/fleet/main.ts');

/** Simulated devices that sync through the ingress under `host`, while a test breaks things. */
export async function startFleet(
  region: Region,
  options: {
    readonly host?: string;
    readonly devices: number;
    readonly batches: number;
    readonly records: number;
    readonly seconds?: number;
    /** How long the judge waits until everything is applied. What was refused a third time comes again after ten minutes. */
    readonly judgeSeconds?: number;
  },
): Promise<RunningFleet> {
  mkdirSync(join(ROOT, 'out'), {recursive: true});
  const folder = mkdtempSync(join(ROOT, 'out', `fleet-${region.name}-`));
  const tokenFile = join(folder, 'enrolment-token');
  writeFileSync(tokenFile, await region.kubectl.secret(`${region.name}-bootstrap`, 'enrolment-token'), {mode: 0o600});
  const ledger = join(folder, 'ledger.ndjson');
  const reportFile = join(folder, 'report.json');
  const child = spawn(
    process.execPath,
    [
      PROGRAM,
      'run',
      ...['--url', clusterFile().ingress.http],
      ...['--host', options.host ?? region.host],
      ...['--enrolment-token-file', tokenFile],
      ...['--devices', String(options.devices)],
      ...['--batches', String(options.batches)],
      ...['--records', String(options.records)],
      ...['--duration', String(options.seconds ?? 10)],
      // A test cannot wait for the minutes that a real device backs off for.
      ...['--backoff-scale', '0.005'],
      ...['--deadline', '120'],
      ...['--ledger', ledger],
      ...['--report', reportFile],
    ],
    {stdio: ['ignore', 'pipe', 'pipe']},
  );
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`the fleet ended with ${code ?? 'a signal'}\n${printed.slice(-4000)}`)),
    );
  });
  // written by the simulator, which has its own tests
  const done = ended.then(() => JSON.parse(readFileSync(reportFile, 'utf8')) as Report);
  // a failure is reported by whoever awaits `done`, not as an unhandled rejection in between
  done.catch(() => undefined);
  return {
    done,
    calls() {
      if (!existsSync(ledger)) return [];
      // The last line may be half written.
      const lines = readFileSync(ledger, 'utf8').split('\n').slice(0, -1);
      // written by the simulator, which has its own tests
      const entries = lines.map(
        (line) => JSON.parse(line) as {readonly t: string; readonly device: string; readonly ms: number},
      );
      return entries.flatMap(({t, device, ms}) => (t === 'answer' ? [{device, tookMs: ms}] : []));
    },
    async judge() {
      const {judgeSeconds = 90} = options;
      const shardsFile = join(folder, 'shards');
      writeFileSync(shardsFile, (await shardUrls(region)).join('\n'), {mode: 0o600});
      const verdictFile = join(folder, 'verdict.json');
      const finished = await run(
        [
          process.execPath,
          PROGRAM,
          'judge',
          '--ledger',
          ledger,
          '--shards-file',
          shardsFile,
          '--wait',
          String(judgeSeconds),
          '--report',
          verdictFile,
        ],
        {timeoutMs: (judgeSeconds + 90) * 1000},
      );
      try {
        // written by the judge, which has its own tests
        return JSON.parse(readFileSync(verdictFile, 'utf8')) as Verdict;
      } catch (cause) {
        throw new Error(
          `the judge wrote no verdict (exit code ${finished.code})\n${finished.stdout}\n${finished.stderr}`,
          {cause},
        );
      }
    },
  };
}

/** Addresses of the shards' databases with the region's own credentials. */
async function shardUrls(region: Region): Promise<readonly string[]> {
  const services = await region.kubectl.list('pods', 'app.kubernetes.io/component=postgres');
  return Promise.all(
    services.map(async (pod) => {
      const shard = pod.metadata.labels?.['pisync.io/shard'] ?? '';
      const password = await region.kubectl.secret(`${region.name}-pg-${shard}`, 'password');
      const address = pod.status?.['podIP'];
      if (typeof address !== 'string') throw new Error(`pod ${pod.metadata.name} has no address yet`);
      return `postgres://pisync:${encodeURIComponent(password)}@${address}:5432/pisync`;
    }),
  );
}
