import {runCommand, succeeds} from '../../terminal/command.ts';
import type {StepContext} from '../../terminal/steps.ts';
import {files} from './layout.ts';

/** Runs kubectl as the cluster's administrator from inside its network; returns what it prints. */
export const kubectl = (args: readonly string[], context: StepContext, input?: string): Promise<string> =>
  runCommand([files.enter, 'kubectl', ...args], input === undefined ? context : {...context, input});

/** True when kubectl ends with code 0 within 10 s. */
export const kubectlSucceeds = (args: readonly string[]): Promise<boolean> =>
  succeeds([files.enter, 'kubectl', '--request-timeout=8s', ...args], 10_000);
