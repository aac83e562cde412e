import {type DestinationStream, type Logger, pino, stdTimeFunctions} from 'pino';
import {traceFields} from './trace-context.ts';

export type {Logger} from 'pino';

export interface LoggerOptions {
  readonly level: string;
  readonly service: string;
  readonly pod: string;
  /** Lines that are written for a request name its trace. */
  readonly traced?: boolean;
  /** Where lines go; standard output when absent. */
  readonly destination?: DestinationStream;
}

/** Keys whose values are never written, at the top level of a line and one level below. */
const SECRET_KEYS = ['authorization', 'password', 'secret', 'credential', 'token', 'enrolmentToken', 'cookie'] as const;

/** One JSON object a line. Names the service and the pod, because lines of many pods end in one place. */
export const createLogger = ({level, service, pod, traced = false, destination}: LoggerOptions): Logger => {
  const options = {
    level,
    base: {service, pod},
    timestamp: stdTimeFunctions.isoTime,
    ...(traced ? {mixin: traceFields} : {}),
    formatters: {level: (label: string) => ({level: label})},
    redact: {paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: '[redacted]'},
  };
  return destination === undefined ? pino(options) : pino(options, destination);
};
