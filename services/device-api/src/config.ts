import {PORTS} from '@pisync/contract/ports';
import {publishVariables} from '@pisync/core/config/broker';
import {defineConfig, variable} from '@pisync/core/config/config';
import {sharedVariables} from '@pisync/core/config/shared';
import {decimal, integer} from '@pisync/core/config/values';

export const deviceApiConfig = defineConfig({
  command: 'device-api',
  summary: 'what devices talk to: enrolment and sync',
  variables: {
    ...sharedVariables,
    ...publishVariables,
    httpPort: variable(
      'PISYNC_HTTP_PORT',
      'TCP port for devices; 0 picks a free one.',
      integer(0, 65535).default(PORTS.http),
    ),
    maxConnections: variable(
      'PISYNC_MAX_CONNECTIONS',
      'Open connections; more are refused.',
      integer(1, 200_000).default(10_000),
    ),
    maxOpenBatches: variable(
      'PISYNC_MAX_OPEN_BATCHES',
      'Calls whose bodies have come and that may be under way in this process; above it devices are told to come back. Enrolments have a quarter of them.',
      integer(1, 100_000).default(2_000),
    ),
    maxOpenBytes: variable(
      'PISYNC_MAX_OPEN_BYTES',
      'Bytes that bodies under way may take in this process; above it devices are told to come back. Enrolments have an eighth of them. A parsed body takes some times its size: the default suits a memory limit of 512 MiB.',
      integer(1024 * 1024, 64 * 1024 * 1024 * 1024).default(64 * 1024 * 1024),
    ),
    maxLagMs: variable(
      'PISYNC_MAX_LAG_MS',
      'Event loop lag in milliseconds above which, when it lasts, devices are told to come back.',
      integer(10, 60_000).default(1000),
    ),
    deviceBurst: variable(
      'PISYNC_DEVICE_BURST',
      'Calls that a device may make at once; each 256 KiB of a body count as one more.',
      integer(1, 10_000).default(30),
    ),
    deviceRate: variable(
      'PISYNC_DEVICE_RATE',
      'Calls per second that a device may keep up; each 256 KiB of a body count as one more.',
      decimal(0.01, 10_000).default(2),
    ),
    deviceBurstBytes: variable(
      'PISYNC_DEVICE_BURST_BYTES',
      'Bytes that a device may have stored at once, its records and batches counted with what their rows take. The largest batch takes ten MiB.',
      integer(12 * 1024 * 1024, 64 * 1024 * 1024 * 1024).default(64 * 1024 * 1024),
    ),
    deviceBytesADay: variable(
      'PISYNC_DEVICE_BYTES_A_DAY',
      'Bytes that a device may have stored day by day after that. All pods count together.',
      integer(1024 * 1024, 1024 * 1024 * 1024 * 1024).default(256 * 1024 * 1024),
    ),
    drainMs: variable(
      'PISYNC_DRAIN_MS',
      'How many milliseconds a stopping process at least goes on serving, so that proxies stop sending first.',
      integer(0, 60_000).default(10_000),
    ),
  },
});
