import {CONNECTIONS} from '@pisync/contract/connections';
import {PORTS} from '@pisync/contract/ports';
import {publishVariables} from '@pisync/core/config/broker';
import {defineConfig, variable} from '@pisync/core/config/config';
import {sharedVariables} from '@pisync/core/config/shared';
import {integer, text} from '@pisync/core/config/values';

/** Everything that admin-api reads from its environment. */
export const adminApiConfig = defineConfig({
  command: 'admin-api',
  summary: 'What people talk to: the REST API and the dashboard.',
  variables: {
    ...sharedVariables,
    ...publishVariables,
    httpPort: variable(
      'PISYNC_HTTP_PORT',
      'TCP port of the API and the dashboard; 0 picks a free one.',
      integer(0, 65535).default(PORTS.http),
    ),
    drainMs: variable(
      'PISYNC_DRAIN_MS',
      'How many milliseconds a stopping process at least goes on serving, so that proxies stop sending first.',
      integer(0, 60_000).default(10_000),
    ),
    dashboardDir: variable(
      'PISYNC_DASHBOARD_DIR',
      "Folder of the dashboard's built files.",
      text().default('/app/public'),
    ),
    callsPerMinute: variable(
      'PISYNC_API_CALLS_PER_MINUTE',
      'How many calls an API token may make in a minute; while Redis is away, at each process.',
      integer(1, 1_000_000).default(1200),
    ),
    shardTimeoutMs: variable(
      'PISYNC_SHARD_TIMEOUT_MS',
      'How many milliseconds a list waits for the slowest shard before it answers without it.',
      integer(50, 60_000).default(2500),
    ),
    poolSize: variable(
      'PISYNC_POOL_SIZE',
      'Connections to each shard for what people look at. The operator gives shards room for the default.',
      integer(1, 100).default(CONNECTIONS.adminApi.dashboard),
    ),
  },
});
