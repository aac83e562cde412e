import {createLogger} from '@pisync/core/telemetry/logger';

/** A log that nobody reads. */
export const silentLog = createLogger({level: 'silent', service: 'test', pod: 'test'});
