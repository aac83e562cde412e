import {expect, test} from '@jest/globals';
import {parseHierarchies} from './cgroups-v1.ts';

const line = (folder: string, type: string, options: string): string =>
  `30 25 0:26 / ${folder} rw,nosuid shared:9 - ${type} cgroup ${options}`;

test('finds single, joined and named hierarchies, each once', () => {
  const mountinfo = [
    line('/sys/fs/cgroup', 'tmpfs', 'rw,mode=755'),
    line('/sys/fs/cgroup/memory', 'cgroup', 'rw,memory'),
    line('/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'rw,cpu,cpuacct'),
    line('/sys/fs/cgroup/systemd', 'cgroup', 'rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,name=systemd'),
    line('/sys/fs/cgroup/unified', 'cgroup2', 'rw'),
    line('/mnt/again/memory', 'cgroup', 'rw,memory'),
  ].join('\n');
  expect(parseHierarchies(mountinfo)).toEqual([
    {folder: '/sys/fs/cgroup/memory', options: 'memory'},
    {folder: '/sys/fs/cgroup/cpu,cpuacct', options: 'cpu,cpuacct'},
    {folder: '/sys/fs/cgroup/systemd', options: 'none,name=systemd'},
  ]);
});
