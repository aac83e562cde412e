import {deviceIdOf} from '@pisync/device-api/enrol/device-id';
import {Outbox} from '@pisync/agent/client/outbox';
import {type Reading} from '@pisync/agent/client/wire';
import {type Pi} from '../processes/pi.ts';
import {type World} from '../world.ts';
import {MAX_KEPT, type Violation} from './laws.ts';
import {contentName} from './ledger.ts';

/** What of a card is with the region, or should be: all, where it stayed the only one of its kind; otherwise what it has given up. What was on another is lost with it. */
const leftCard = (pi: Pi, isCopied: boolean): readonly Reading[] => {
  const {journal} = pi.card();
  const taken = journal.flatMap((entry) => (entry.op === 'reading' ? [entry.reading] : []));
  if (!isCopied) return taken;
  const outbox = new Outbox();
  for (const entry of journal) outbox.apply(entry);
  const kept = new Set<unknown>();
  for (const entry of outbox.entries()) {
    if (entry.op === 'reading') kept.add(entry.reading.d.id);
    if (entry.op === 'batch') for (const {d} of entry.batch.records) kept.add(d.id);
  }
  return taken.filter(({d}) => !kept.has(d.id));
};

/** Readings that a card has given to the region, and no shard has. Two contents under one number, of a card and its copy, may be in quarantine. */
export const findLostReadings = ({pis, copied, broker, ledger, shardOfDevice}: World): readonly Violation[] =>
  pis.flatMap((pi) => {
    const device = deviceIdOf(pi.card().identity.hardwareId);
    const isCopied = copied.has(device);
    const tables = shardOfDevice(device).tables();
    const deviceKey = tables.devices.get(device)?.deviceKey ?? 0;
    // What the broker lost of one card, it may have applied of the other.
    if (isCopied && (broker.hasLost() || (tables.conflicts.get(deviceKey) ?? 0) > MAX_KEPT)) return [];
    const stored = new Set(tables.records.filter((row) => row.deviceKey === deviceKey).map(({data}) => data));
    for (const row of tables.kept) {
      if (!isCopied || row.deviceKey !== deviceKey || row.kind === 'record') continue;
      const name = contentName(device, row.epoch, row.batchSeq, row.contentHash.toString('hex'));
      for (const reading of ledger.sent.get(name)?.readings ?? []) stored.add(reading);
    }
    const taken = leftCard(pi, isCopied).filter(({d}) => d.text === undefined);
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
