import {z} from 'zod';
import {variable} from './config.ts';
import {integer} from './values.ts';

/** What a service that uses the broker reads besides the shared variables. */
export const brokerVariables = {
  brokerPrefix: variable(
    'PISYNC_BROKER_PREFIX',
    'First part of the names of exchanges and queues; the same in every service of a region.',
    z
      .string()
      .regex(/^[\w-]+$/, {error: 'must be letters, digits, _ or -'})
      .default('pisync'),
  ),
} as const;

/** And one whose callers wait until the broker has what they brought. */
export const publishVariables = {
  ...brokerVariables,
  confirmTimeoutMs: variable(
    'PISYNC_CONFIRM_TIMEOUT_MS',
    'How many milliseconds the broker has to confirm a message before it counts as not published.',
    integer(50, 60_000).default(5_000),
  ),
} as const;
