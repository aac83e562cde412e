import {mkdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {parseArgs} from 'node:util';
import {findHelm} from '../cluster/helm.ts';
import {runCommand} from '../terminal/command.ts';
import {runSteps, type Step} from '../terminal/steps.ts';

/** `make check`: all that can be known without a server, side by side. */
const HELP = `usage: node scripts/check/main.ts [--jest-json FILE]

  --jest-json FILE   write the results of the unit tests there
`;

const root = join(import.meta.dirname, '../..');

interface Options {
  readonly help: boolean;
  readonly json: string | undefined;
}

/** @throws TypeError, with a message for people, when the command line is wrong. */
const readOptions = (): Options => {
  const {values} = parseArgs({options: {'jest-json': {type: 'string'}, help: {type: 'boolean', default: false}}});
  return {help: values.help, json: values['jest-json']};
};

const step = (name: string, argv: readonly [string, ...string[]], needs: readonly string[] = []): Step => ({
  name,
  needs,
  async run({log, signal}) {
    await runCommand(argv, {log, signal, cwd: root});
  },
});

const SOURCES = ['contract', 'operator', 'services', 'scripts', 'test', 'bench', 'simulation'];

async function check(json: string | undefined): Promise<number> {
  if (json !== undefined) mkdirSync(dirname(json), {recursive: true});
  const helm = await findHelm();
  if (helm === undefined) console.log('helm is not installed: the charts are not linted here (make test does it)');
  return runSteps(
    [
      step('format', ['prettier', '--check', '--log-level', 'warn', '.']),
      step('lint', ['eslint', '.']),
      step('types', ['tsc', '-b']),
      step('imports', ['depcruise', '--config', '.dependency-cruiser.cjs', ...SOURCES]),
      step('dead code', ['knip']),
      step('lock file', ['node', 'scripts/lock/main.ts', 'check']),
      step('generated files', ['node', 'operator/src/api/generate.ts', '--check']),
      step('unit tests', [
        process.execPath,
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        'node_modules/jest/bin/jest.js',
        '--selectProjects',
        'unit',
        ...(json === undefined ? [] : ['--json', `--outputFile=${json}`]),
      ]),
      ...(helm === undefined
        ? []
        : [step('charts', [helm, 'lint', '--strict', 'charts/pisync', 'charts/pisync-region'])]),
    ],
    {logFolder: join(root, 'out/logs/check'), keepGoing: true},
  );
}

let options: Options | undefined;
try {
  options = readOptions();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
}
if (options?.help === true) console.log(HELP);
process.exitCode = options === undefined ? 2 : options.help ? 0 : await check(options.json);
