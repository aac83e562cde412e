import {expect, test} from '@jest/globals';
import {collectReadings, describeMachine, type Machine} from './readings.ts';

const FILES: Readonly<Record<string, string>> = {
  '/proc/loadavg': '0.52 0.41 0.30 2/345 6789\n',
  '/proc/meminfo':
    'MemTotal:         948304 kB\nMemFree:          100 kB\nMemAvailable:     612345 kB\nSwapFree:         0 kB\n',
  '/proc/uptime': '12345.67 45678.90\n',
  '/proc/net/dev': [
    'Inter-|   Receive                                                |  Transmit',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
    '    lo:     999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0',
    '  eth0:    1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0',
    ' wlan0:       5       1    0    0    0     0          0         0        6       1    0    0    0     0       0          0',
  ].join('\n'),
  '/sys/class/thermal/thermal_zone0/temp': '48312\n',
  '/sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  '/proc/device-tree/serial-number': '10000000abcdef01\0',
  '/proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
  '/proc/sys/kernel/osrelease': '6.12.0-rpi\n',
};

const machine = (files: Readonly<Record<string, string>>): Machine => ({
  readFile: (path) => files[path],
  list: (path) => (path === '/sys/class/thermal' && files !== EMPTY ? ['cooling_device0', 'thermal_zone0'] : []),
  disk: () => (files === EMPTY ? undefined : {totalBytes: 100, freeBytes: 40}),
});
const EMPTY = {};

test('reads a Raspberry Pi', () => {
  const readings = collectReadings(machine(FILES), 7);
  expect(Object.fromEntries(readings.map(({k, d}) => [k, d]))).toEqual({
    load: {load1: 0.52, load5: 0.41, load15: 0.3},
    memory: {totalKib: 948304, availableKib: 612345, swapFreeKib: 0},
    uptime: {seconds: 12345.67},
    network: {receivedBytes: 1005, sentBytes: 2006, interfaces: 2},
    disk: {totalBytes: 100, freeBytes: 40},
    temperature: {'cpu-thermal': 48.312},
  });
  expect(readings.every(({t}) => t === 7)).toBe(true);
  expect(describeMachine(machine(FILES))).toEqual({
    hardwareId: '10000000abcdef01',
    model: 'Raspberry Pi 4 Model B Rev 1.4',
    state: {agent: '0.1.0', kernel: '6.12.0-rpi'},
  });
});

test.each(['', '0000000000000000\0'])('a board with the serial number %j goes by its machine id', (serial) => {
  const files = {...FILES, '/proc/device-tree/serial-number': serial, '/etc/machine-id': '5f1d0a\n'};
  expect(describeMachine(machine(files)).hardwareId).toBe('5f1d0a');
});

test.each(['', '\n', 'uninitialized\n'])('a machine id that is %j is none', (id) => {
  expect(
    describeMachine(machine({...FILES, '/proc/device-tree/serial-number': '', '/etc/machine-id': id})).hardwareId,
  ).toBe(undefined);
});

test('leaves out what a machine does not have', () => {
  expect(collectReadings(machine(EMPTY), 0)).toEqual([]);
  expect(describeMachine(machine(EMPTY))).toMatchObject({hardwareId: undefined, model: 'linux'});
});
