import {expect, test} from '@jest/globals';
import {lastKlogError} from './klog.ts';

test('finds the last error and leaves out its header', () => {
  const log = [
    'I1123 22:35:58.971457    4734 policy_none.go:47] "Start"',
    'E1123 22:35:58.972497    4734 node_container_manager_linux.go:62] "Failed to create cgroup" err="first"',
    'E1123 22:35:58.972514    4734 kubelet.go:1850] "Failed to start ContainerManager" err="permission denied"',
    'sh ended with code 1, starting it again',
    '',
  ].join('\n');
  expect(lastKlogError(log)).toBe('"Failed to start ContainerManager" err="permission denied"');
});

test('a log without errors has none', () => {
  expect(lastKlogError('I1123 22:35:58.971457    4734 policy_none.go:47] "E1123 in a message"\n')).toBeUndefined();
});
