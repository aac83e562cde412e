import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {build} from 'esbuild';
import type {Command} from '@pisync/contract/env';

/** The checkout. */
export const ROOT = join(import.meta.dirname, '..', '..');

/** Where each command of the service image begins. */
const SERVICES: Readonly<Record<Command, string>> = {
  'device-api': 'services/device-api/src/main.ts',
  'admin-api': 'services/admin-api/src/main.ts',
  worker: 'services/worker/src/main.ts',
  keeper: 'services/keeper/src/main.ts',
  migrate: 'services/worker/src/migrate-main.ts',
};

/** An image of our own code: its programs by name, and the Dockerfile. */
export interface Application {
  readonly name: string;
  readonly programs: Readonly<Record<string, string>>;
  readonly dockerfile: string;
  /** Carries the built dashboard below /app/public. */
  readonly hasDashboard: boolean;
}

export const SERVICE: Application = {
  name: 'pisync',
  programs: {
    main: 'scripts/images/entry/service.ts',
    compile: 'scripts/images/entry/compile.ts',
    ...SERVICES,
    'device-api-body-thread': 'services/device-api/src/sync/body-thread.ts',
  },
  dockerfile: 'scripts/images/pisync.Dockerfile',
  hasDashboard: true,
};

export const OPERATOR: Application = {
  name: 'pisync-operator',
  programs: {main: 'scripts/images/entry/operator.ts', operator: 'operator/src/main.ts'},
  dockerfile: 'scripts/images/operator.Dockerfile',
  hasDashboard: false,
};

/** Database drivers and helpers that libraries load only when they are configured to: they are not installed and never asked for. */
const NEVER_LOADED = [
  'better-sqlite3',
  'sqlite3',
  'mariadb',
  'mysql',
  'mysql2',
  'oracledb',
  'tedious',
  'pg-native',
  'pg-query-stream',
  'pino-pretty',
];

/** CommonJS libraries expect these three in every module. */
const COMMONJS_BANNER = [
  "import {createRequire as pisyncCreateRequire} from 'node:module';",
  'const require = pisyncCreateRequire(import.meta.url);',
  'const __filename = import.meta.filename;',
  'const __dirname = import.meta.dirname;',
].join('\n');

/**
 * Bundles an application's programs into `folder`: one `<name>.mjs` each, and chunks for what they share. Names are kept and nothing is
 * renamed, so that stack traces and metrics read like the sources.
 *
 * @throws Error that names the programs whose source is missing, or esbuild's own with its messages.
 */
export async function bundle(application: Application, folder: string): Promise<void> {
  const missing = Object.values(application.programs).filter((file) => !existsSync(join(ROOT, file)));
  if (missing.length > 0)
    throw new Error(`image ${application.name} needs ${missing.join(', ')}, and there is no such file`);
  await build({
    absWorkingDir: ROOT,
    entryPoints: application.programs,
    outdir: folder,
    outExtension: {'.js': '.mjs'},
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'linked',
    charset: 'utf8',
    external: NEVER_LOADED,
    banner: {js: COMMONJS_BANNER},
    logLevel: 'silent',
  });
}
