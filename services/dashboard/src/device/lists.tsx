import type {ReactNode} from 'react';
import type {DeviceCommand, DeviceRecord, Sync} from '../api/types.ts';
import {useApi} from '../api/api-context.ts';
import type {DeviceLists} from '../api/client.ts';
import {PagedTable, type TableColumn} from '../layout/paged-table.tsx';
import type {DeviceListName} from '../navigation/view.ts';
import {Ago, Moment} from '../time/time.tsx';
import {Data} from './data.tsx';

export const LIST_TITLES: Readonly<Record<DeviceListName, string>> = {
  syncs: 'Last syncs',
  records: 'Records',
  commands: 'Commands',
};

const DeviceList = <K extends keyof DeviceLists>({
  id,
  list,
  ...shown
}: {
  readonly id: string;
  readonly list: K;
  readonly columns: readonly TableColumn<DeviceLists[K]>[];
  readonly rowKey: (row: DeviceLists[K]) => string;
  readonly empty: string;
}): ReactNode => {
  const api = useApi();
  return (
    <PagedTable
      queryKey={['device', id, list]}
      read={(cursor, signal) => api.deviceList(id, list, cursor, signal)}
      what={list}
      title={LIST_TITLES[list]}
      testId={`device-${list}`}
      {...shown}
    />
  );
};

/** Numbers begin anew with each epoch, so neither names a batch without the other. */
const BatchName = ({epoch, batchSeq}: {readonly epoch: string; readonly batchSeq: number}): ReactNode => (
  <span className="mono">
    {epoch}:{batchSeq}
  </span>
);

const SYNC_COLUMNS: readonly TableColumn<Sync>[] = [
  {title: 'Applied', cell: (sync) => <Ago at={sync.appliedAt} />},
  {
    title: 'Batch',
    cell: (sync) => <BatchName {...sync} />,
  },
  {
    title: 'Outcome',
    cell: (sync) => (
      <span
        className={sync.outcome === 'rejected' ? 'tone-failing' : 'tone-on_time'}
        title={sync.outcome === 'rejected' ? 'in quarantine with the reason: see the runbook' : undefined}
      >
        {sync.outcome}
      </span>
    ),
  },
  {title: 'Records', numeric: true, cell: (sync) => sync.recordCount},
  {
    title: 'Bad',
    numeric: true,
    cell: (sync) => <span className={sync.badCount > 0 ? 'tone-failing' : 'faint'}>{sync.badCount}</span>,
  },
  {title: 'Mode', cell: (sync) => sync.mode},
  // Why the device synced, which has nothing to do with the outcome.
  {title: 'Sent because', cell: (sync) => sync.reason ?? <span className="faint">–</span>},
];

export const SyncList = ({id}: {readonly id: string}): ReactNode => (
  <DeviceList
    id={id}
    list="syncs"
    columns={SYNC_COLUMNS}
    rowKey={(sync) => `${sync.epoch}:${sync.batchSeq}`}
    empty="No sync was applied yet"
  />
);

const RECORD_COLUMNS: readonly TableColumn<DeviceRecord>[] = [
  {title: 'Received', cell: (record) => <Ago at={record.receivedAt} />},
  {title: 'Batch', cell: (record) => <BatchName {...record} />},
  {title: 'Seq', numeric: true, cell: (record) => record.seq},
  {title: 'Kind', cell: (record) => record.kind},
  {title: 'Device time', cell: (record) => (record.badTime ? 'not a time' : <Moment at={record.deviceTime} />)},
  {title: 'Data', cell: (record) => <Data value={record.data} />},
];

export const RecordList = ({id}: {readonly id: string}): ReactNode => (
  <DeviceList
    id={id}
    list="records"
    columns={RECORD_COLUMNS}
    rowKey={(record) => `${record.epoch}:${record.batchSeq}:${record.ordinal}`}
    empty="No record is stored"
  />
);

const COMMAND_COLUMNS: readonly TableColumn<DeviceCommand>[] = [
  {title: 'Asked', cell: (command) => <Ago at={command.createdAt} />},
  {title: 'Command', cell: (command) => command.type},
  {title: 'Priority', cell: (command) => command.priority},
  {title: 'State', cell: (command) => command.state},
  {title: 'Delivered', cell: (command) => <Ago at={command.deliveredAt} none="not yet" />},
  {title: 'Done', cell: (command) => <Ago at={command.doneAt} none="not yet" />},
  {title: 'Expires', cell: (command) => <Ago at={command.expiresAt} />},
];

export const CommandList = ({id}: {readonly id: string}): ReactNode => (
  <DeviceList
    id={id}
    list="commands"
    columns={COMMAND_COLUMNS}
    rowKey={(command) => command.id}
    empty="Nobody asked this device for anything"
  />
);
