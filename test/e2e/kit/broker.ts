import {type Region} from './region.ts';

/** Runs rabbitmqctl in the broker's pod and returns what it printed. Debian keeps it out of PATH. */
const brokerctl = async (region: Region, ...args: readonly string[]): Promise<string> => {
  const command = [
    'sh',
    '-c',
    'PATH=/usr/lib/rabbitmq/bin:$PATH exec rabbitmqctl --quiet "$@"',
    'rabbitmqctl',
    ...args,
  ];
  return (await region.kubectl.ok(['exec', `${region.name}-rabbitmq-0`, '--', ...command])).trim();
};

/** What the broker is short of, such as `disk`. */
export const alarmsOf = async (region: Region): Promise<readonly string[]> => {
  const text = await brokerctl(region, 'eval', 'rabbit_alarm:get_alarms().');
  return Array.from(text.matchAll(/resource_limit,(\w+)/g), ([, what = '']) => what);
};

/** Makes the broker short of disk, runs the work, and gives it back what it had, whatever the work did. */
export const whileShortOfDisk = async <T>(region: Region, work: () => Promise<T>): Promise<T> => {
  const limit = await brokerctl(region, 'eval', 'rabbit_disk_monitor:get_disk_free_limit().');
  try {
    await brokerctl(region, 'set_disk_free_limit', '1000000000000000');
    return await work();
  } finally {
    await brokerctl(region, 'set_disk_free_limit', limit);
  }
};

/** Makes the broker believe that it has no memory, so that it takes nothing. */
export const takeMemory = async (region: Region, mends: AsyncDisposableStack): Promise<void> => {
  const part = await brokerctl(region, 'eval', 'vm_memory_monitor:get_vm_memory_high_watermark().');
  mends.defer(async () => {
    await brokerctl(region, 'eval', `vm_memory_monitor:set_vm_memory_high_watermark(${part}).`);
  });
  await brokerctl(region, 'eval', 'vm_memory_monitor:set_vm_memory_high_watermark(0.0001).');
};
