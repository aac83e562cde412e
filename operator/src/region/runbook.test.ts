import {expect, test} from '@jest/globals';
import {globSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

const SOURCES = join(import.meta.dirname, '..');
const page = readFileSync(join(SOURCES, '../../docs/runbook.md'), 'utf8');

/** How the sources say a reason of a condition that is not True, or of an event. */
const SAID = [
  /\breason: '([A-Z]\w+)'/g,
  /\b(?:fails(?!\('(?:Reconciling|Stalled)')|unknown|stalledBy|reconciling)\((?:\s*(?:type|TYPE|'\w+'),)?\s*'(\w+)'/g,
  /\breason \?\? '([A-Z]\w+)'/g,
  /^export const [A-Z_]+ = '([A-Z]\w+)'/gm,
  /^const FAILED_TRIALS = \['(\w+)', '(\w+)'\]/gm,
  /^ {2}(?:conflict|contested|immutable|refused|failed): '([A-Z]\w+)'/gm,
];
const ours = ['kube/*.ts', 'region/**/*.ts']
  .flatMap((files) => globSync(files, {cwd: SOURCES}))
  .filter((file) => !/\.test\.ts$|\/(?:testing|testdata)\/|\/(?:kinds|labels|config|discovery)\.ts$/.test(file))
  .map((file) => readFileSync(join(SOURCES, file), 'utf8'))
  .flatMap((text) => SAID.flatMap((pattern) => [...text.matchAll(pattern)].flatMap(([, ...reasons]) => reasons)));

/** What the operator passes on in the words of others. */
const THEIRS = [
  // kubelet: kuberuntime/kuberuntime_container.go, container/sync_result.go
  ...['ContainerCreating', 'PodInitializing', 'CrashLoopBackOff', 'RunContainerError'],
  ...['CreateContainerConfigError', 'CreateContainerError'],
  // Controllers of Deployments and autoscalers
  ...['ProgressDeadlineExceeded', 'FailedGetContainerResourceMetric'],
  // Gateway API: apis/v1/httproute_types.go
  ...['NotAllowedByListeners', 'NoMatchingListenerHostname', 'NoMatchingParent', 'BackendNotFound', 'RefNotPermitted'],
];

test('the runbook has every reason', () => {
  const explained = new Set([
    ...[...page.matchAll(/^### (.+)$/gm)].flatMap(([, title = '']) => title.split(', ')),
    ...[...page.matchAll(/`(\w+)`/g)].map(([, word]) => word),
  ]);
  expect([...ours, ...THEIRS].filter((reason) => !explained.has(reason))).toEqual([]);
});

test('the runbook has no reason that nobody says', () => {
  const titles = [...page.matchAll(/^### ([A-Z]\w+(?:, [A-Z]\w+)*)$/gm)].flatMap(([, title = '']) => title.split(', '));
  const rows = [...page.matchAll(/^\| (`[A-Z]\w+`(?:, `\w+`)*) +\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/\w+/g)].map(([word]) => word),
  );
  const said = new Set([...ours, ...THEIRS]);
  expect([...titles, ...rows].filter((reason) => !said.has(reason))).toEqual([]);
});
