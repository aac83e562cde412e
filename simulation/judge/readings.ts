import {deviceIdOf} from '@pisync/device-api/enrol/device-id';
import {type World} from '../world.ts';
import {type Violation} from './laws.ts';

/** Readings that a card kept and no shard has. Of cards that stayed where they were: what was on another is lost with it. */
export const findLostReadings = ({pis, copied, shardOfDevice}: World): readonly Violation[] =>
  pis.flatMap((pi) => {
    const device = deviceIdOf(pi.card().identity.hardwareId);
    if (copied.has(device)) return [];
    const tables = shardOfDevice(device).tables();
    const deviceKey = tables.devices.get(device)?.deviceKey;
    const stored = new Set(tables.records.filter((row) => row.deviceKey === deviceKey).map(({data}) => data));
    const taken = pi
      .card()
      .journal.flatMap((entry) =>
        entry.op === 'reading' && entry.reading.d.text === undefined ? [entry.reading] : [],
      );
    const lost = taken.filter(({d}) => !stored.has(JSON.stringify(d)));
    if (lost.length === 0) return [];
    const detail = `${lost.length} of ${taken.length} readings are in no shard, the first is ${JSON.stringify(lost[0])}`;
    return [{law: 'every reading arrives', device, detail}];
  });

/** Readings that a shard has under two numbers. Cards that went back in time, or were damaged, send rather twice than never. */
export const findDoubledReadings = ({pis, copied, damaged, broker, shardOfDevice}: World): readonly Violation[] =>
  pis.flatMap((pi) => {
    const device = deviceIdOf(pi.card().identity.hardwareId);
    if (copied.has(device) || damaged.has(device) || broker.hasLost()) return [];
    const tables = shardOfDevice(device).tables();
    const deviceKey = tables.devices.get(device)?.deviceKey;
    const rows = tables.records.filter((row) => row.deviceKey === deviceKey).map(({data}) => data);
    const doubled = rows.filter((data, index) => rows.indexOf(data) !== index);
    if (doubled.length === 0) return [];
    const detail = `${doubled.length} readings are there under two numbers, the first is ${doubled[0] ?? ''}`;
    return [{law: 'no reading comes twice', device, detail}];
  });
