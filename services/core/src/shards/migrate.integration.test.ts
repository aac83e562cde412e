import {expect, test} from '@jest/globals';
import {openMuteProxy} from '../testing/mute-proxy.ts';
import {databaseFault} from './database-fault.ts';
import {migrateShard} from './migrate.ts';

test('a migration does not wait for ever for a server that takes connections and says nothing', async () => {
  const url = new URL(process.env.PISYNC_TEST_POSTGRES_URL ?? 'postgres://PISYNC_TEST_POSTGRES_URL-is-not-set:1');
  const proxy = await openMuteProxy(url);
  try {
    proxy.state.mute = true;
    const target = {host: '127.0.0.1', port: proxy.port, database: 'postgres', user: 'postgres', password: 'any'};
    const outcome = await migrateShard(target, 1).then(() => 'migrated', databaseFault);
    expect(outcome).toBe('systemic');
  } finally {
    proxy.close();
  }
}, 30_000);
