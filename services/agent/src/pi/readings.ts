/** What a Pi measures of itself: functions from the text of files in /proc and /sys to readings. Formats: proc(5), Linux Documentation/hwmon and /thermal. */
import type {JsonObject, Reading} from '../client/wire.ts';
import packageJson from '../../package.json' with {type: 'json'};

/** Reads a small file, or undefined where the machine has none. */
export type ReadFile = (path: string) => string | undefined;

export interface DiskSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export interface Machine {
  readonly readFile: ReadFile;
  /** Names of the entries of a folder; none where it does not exist. */
  readonly list: (path: string) => readonly string[];
  readonly disk: () => DiskSpace | undefined;
}

const numbers = (text: string): number[] => text.trim().split(/\s+/).map(Number);

const load = (text: string): JsonObject | undefined => {
  const [one, five, fifteen] = numbers(text);
  return one === undefined || Number.isNaN(one) ? undefined : {load1: one, load5: five, load15: fifteen};
};

const memory = (text: string): JsonObject | undefined => {
  const kib = (name: string): number | undefined => {
    const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return value === undefined ? undefined : Number(value);
  };
  const total = kib('MemTotal');
  if (total === undefined) return undefined;
  return {totalKib: total, availableKib: kib('MemAvailable'), swapFreeKib: kib('SwapFree')};
};

const uptime = (text: string): JsonObject | undefined => {
  const [seconds] = numbers(text);
  return seconds === undefined || Number.isNaN(seconds) ? undefined : {seconds};
};

/** Bytes since boot over all interfaces but loopback. */
const network = (text: string): JsonObject | undefined => {
  const rows = text
    .split('\n')
    .map((line) => /^\s*([^:\s]+):\s*(.*)$/.exec(line))
    .filter((match) => match !== null && match[1] !== 'lo');
  if (rows.length === 0) return undefined;
  const sum = (column: number): number =>
    rows.reduce((total, row) => total + (numbers(row?.[2] ?? '')[column] ?? 0), 0);
  return {receivedBytes: sum(0), sentBytes: sum(8), interfaces: rows.length};
};

/** Each thermal zone in degrees Celsius, by its type. */
const temperatures = (machine: Machine): JsonObject | undefined => {
  const base = '/sys/class/thermal';
  const zones: Record<string, number> = {};
  for (const zone of machine.list(base)) {
    const milli = Number(machine.readFile(`${base}/${zone}/temp`) ?? Number.NaN);
    if (!zone.startsWith('thermal_zone') || Number.isNaN(milli)) continue;
    zones[machine.readFile(`${base}/${zone}/type`)?.trim() ?? zone] = milli / 1000;
  }
  return Object.keys(zones).length === 0 ? undefined : zones;
};

/** One reading a kind; what this machine does not have is left out. @param nowMs the device's own clock */
export const collectReadings = (machine: Machine, nowMs: number): readonly Reading[] => {
  const from = (path: string, parse: (text: string) => JsonObject | undefined): JsonObject | undefined => {
    const text = machine.readFile(path);
    return text === undefined ? undefined : parse(text);
  };
  const disk = machine.disk();
  const kinds: readonly (readonly [string, JsonObject | undefined])[] = [
    ['load', from('/proc/loadavg', load)],
    ['memory', from('/proc/meminfo', memory)],
    ['uptime', from('/proc/uptime', uptime)],
    ['network', from('/proc/net/dev', network)],
    ['disk', disk === undefined ? undefined : {...disk}],
    ['temperature', temperatures(machine)],
  ];
  return kinds.flatMap(([k, d]) => (d === undefined ? [] : [{k, t: nowMs, d}]));
};

/** What the region should know of the device besides its records. */
export const describeMachine = (
  machine: Machine,
): {hardwareId: string | undefined; model: string; state: JsonObject} => {
  // Device tree strings end with a NUL.
  const tree = (name: string): string | undefined =>
    machine.readFile(`/proc/device-tree/${name}`)?.replaceAll('\0', '').trim();
  const serial = tree('serial-number');
  const machineId = machine.readFile('/etc/machine-id')?.trim();
  // machine-id(5): an image that was never booted has an empty one, or this word.
  const hasMachineId = machineId !== '' && machineId !== 'uninitialized';
  const kernel = machine.readFile('/proc/sys/kernel/osrelease')?.trim();
  return {
    // Zeros are fuses that were never burnt: other boards have them too.
    hardwareId: serial !== undefined && !/^0*$/.test(serial) ? serial : hasMachineId ? machineId : undefined,
    model: tree('model') ?? 'linux',
    state: {agent: packageJson.version, ...(kernel === undefined ? {} : {kernel})},
  };
};
