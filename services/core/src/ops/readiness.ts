import {describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';

/** Rejects with the reason while what it looks at cannot be used. */
type ReadinessCheck = () => void | Promise<void>;

interface ReadinessReport {
  readonly ready: boolean;
  /** Per check `ok`, or why not. */
  readonly checks: Readonly<Record<string, string>>;
}

/** Named checks, run together each time someone asks. */
export interface Readiness {
  add(name: string, check: ReadinessCheck): void;
  look(): Promise<ReadinessReport>;
}

/** Below the one second that Kubernetes gives a probe by default, so that the answer with the reason still arrives. */
const CHECK_TIMEOUT_MS = 700;

export const createReadiness = (stopping: AbortSignal): Readiness => {
  const checks = new Map<string, ReadinessCheck>();
  const run = async (name: string, check: ReadinessCheck): Promise<readonly [string, string]> => {
    try {
      await withTimeout(Promise.resolve().then(check), CHECK_TIMEOUT_MS, `no answer within ${CHECK_TIMEOUT_MS} ms`);
      return [name, 'ok'];
    } catch (error) {
      return [name, describeError(error)];
    }
  };
  return {
    add(name, check) {
      checks.set(name, check);
    },
    async look() {
      if (stopping.aborted) return {ready: false, checks: {process: 'stopping'}};
      const results = await Promise.all([...checks].map(([name, check]) => run(name, check)));
      return {ready: results.every(([, result]) => result === 'ok'), checks: Object.fromEntries(results)};
    },
  };
};
