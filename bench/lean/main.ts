/** The lean baseline as a process. Several listen on one port, and the kernel shares the connections out among them. */
import pg from 'pg';
import {z} from 'zod';
import {createLeanApp} from './app.ts';

const env = z.object({LEAN_PORT: z.coerce.number().int(), LEAN_POSTGRES_URL: z.url()}).parse(process.env);

const pool = new pg.Pool({connectionString: env.LEAN_POSTGRES_URL, max: 10});
const app = createLeanApp({pool, now: () => new Date()});
await app.ready();
app.server.listen({port: env.LEAN_PORT, host: '127.0.0.1', reusePort: true});

process.once('SIGTERM', () => {
  void (async () => {
    app.server.closeAllConnections();
    await app.close();
    await pool.end();
    process.exit(0);
  })();
});
