import {useQuery} from '@tanstack/react-query';
import type {ReactNode} from 'react';
import {useApi} from '../api/api-context.ts';
import {ApiError} from '../api/client.ts';
import {pollMs} from '../api/retry.ts';
import type {Device} from '../api/types.ts';
import {StatusLabel} from '../devices/status.tsx';
import {AsOf, Empty, Failed, Loading, Untitled} from '../layout/states.tsx';
import {Link} from '../navigation/navigation.tsx';
import {DEVICE_LISTS, deviceHref, devicesHref, type DeviceListName} from '../navigation/view.ts';
import {jsonText} from '../text/json-text.ts';
import {visibleGroup, visibleName} from '../text/visible-name.ts';
import {Ago} from '../time/time.tsx';
import {Access} from './access.tsx';
import {EditDevice} from './edit-device.tsx';
import {CommandList, LIST_TITLES, RecordList, SyncList} from './lists.tsx';
import {SyncNow} from './sync-now.tsx';
import {ValueList} from './value-list.tsx';

const REFETCH_MS = 15_000;

export const DevicePage = ({id, list}: {readonly id: string; readonly list: DeviceListName}): ReactNode => {
  const api = useApi();
  const device = useQuery({
    queryKey: ['device', id],
    queryFn: ({signal}) => api.device(id, signal),
    refetchInterval: ({state}) => pollMs(REFETCH_MS, state.error),
  });
  // Who saw it may not see it any more.
  if (device.data === undefined || isUnknown(device.error)) {
    return (
      <Untitled title="Device">
        {device.error === null ? (
          <Loading what="the device" />
        ) : isUnknown(device.error) ? (
          <Empty title="There is no such device">
            No device <bdi className="mono wrap">{id}</bdi> is enrolled in this region.{' '}
            <Link href={devicesHref()}>Show all devices</Link>
          </Empty>
        ) : (
          <Failed what="device" error={device.error} retry={() => void device.refetch()} />
        )}
      </Untitled>
    );
  }
  return <DeviceView device={device.data.data} asOf={device.data.asOf} stale={device.isError} list={list} />;
};

/** 400 is the answer to what cannot be a device's id. */
const isUnknown = (error: Error | null): boolean =>
  error instanceof ApiError && (error.status === 404 || error.status === 400);

const DeviceView = ({
  device,
  asOf,
  stale,
  list,
}: {
  readonly device: Device;
  readonly asOf: string;
  readonly stale: boolean;
  readonly list: DeviceListName;
}): ReactNode => (
  <>
    <nav aria-label="Path" className="path">
      <Link href={devicesHref()}>Devices</Link>
      <span aria-hidden="true">›</span>
      <Link href={devicesHref({group: device.group})}>{visibleGroup(device.group)}</Link>
    </nav>
    <div className="page-head">
      <h1>{visibleName(device.name, device.id)}</h1>
      <span className="badge">
        <StatusLabel status={device.status} />
        <span className="faint">
          changed <Ago at={device.statusSince} />
        </span>
      </span>
      <AsOf at={asOf} stale={stale} />
    </div>
    {device.decommissionedAt !== null ? (
      <p className="notice">
        <strong>Decommissioned</strong> <Ago at={device.decommissionedAt} />. It is out of service, and a machine with
        its hardware id is refused. <Link href={devicesHref({mark: 'decommissioned'})}>All that are</Link>
      </p>
    ) : device.revokedAt !== null ? (
      <p className="notice">
        <strong>Revoked</strong> <Ago at={device.revokedAt} />. Its credential no longer works.{' '}
        <Link href={devicesHref({mark: 'revoked'})}>All that are</Link>
      </p>
    ) : null}
    {device.disputedUntil === null ? null : (
      <p className="notice">
        <strong>Two machines may be this device.</strong> Enrolments with other secrets came again and again, or with
        the token of another group. If two machines have the hardware id{' '}
        <bdi className="mono wrap">{device.hardwareId}</bdi>, give one of them another.{' '}
        <Link href={devicesHref({mark: 'disputed'})}>All such devices</Link>
      </p>
    )}
    <div className="device-columns">
      <div className="device-side">
        <Facts device={device} />
        <SyncNow device={device} />
        <Access device={device} />
        <section className="panel">
          <h2>State</h2>
          {device.state === null ? (
            <Empty title="No state yet">It comes with the device’s first sync.</Empty>
          ) : (
            <ValueList values={device.state} />
          )}
        </section>
      </div>
      <section className="panel device-lists">
        <nav className="tabs" aria-label="Lists of this device">
          {DEVICE_LISTS.map((name) => (
            <Link
              key={name}
              href={deviceHref(device.id, name)}
              replace
              aria-current={name === list ? 'page' : undefined}
            >
              {LIST_TITLES[name]}
            </Link>
          ))}
        </nav>
        <ShownList id={device.id} list={list} />
      </section>
    </div>
  </>
);

const ShownList = ({id, list}: {readonly id: string; readonly list: DeviceListName}): ReactNode => {
  switch (list) {
    case 'syncs':
      return <SyncList id={id} />;
    case 'records':
      return <RecordList id={id} />;
    case 'commands':
      return <CommandList id={id} />;
  }
};

const integer = new Intl.NumberFormat();

const Facts = ({device}: {readonly device: Device}): ReactNode => {
  const tags = Object.entries(device.tags);
  return (
    <section className="panel">
      <div className="panel-head">
        <h2>Device</h2>
        <EditDevice device={device} />
      </div>
      <dl className="facts">
        <dt>Last sync</dt>
        <dd>
          <Ago at={device.lastSyncAt} />
        </dd>
        <dt>Last seen</dt>
        <dd>
          <Ago at={device.lastSeenAt} />
        </dd>
        <dt>Syncs</dt>
        <dd>{integer.format(device.syncsTotal)}</dd>
        <dt>Records</dt>
        <dd>{integer.format(device.recordsTotal)}</dd>
        <dt>Applied</dt>
        <dd>
          {device.appliedThrough === 0 ? 'nothing' : `through batch ${device.appliedThrough}`} of{' '}
          <bdi className="mono">{device.epoch}</bdi>
        </dd>
        <dt>Group</dt>
        <dd>
          <Link href={devicesHref({group: device.group})}>{visibleGroup(device.group)}</Link>
        </dd>
        <dt>Model</dt>
        <dd>{device.model ?? <span className="faint">unknown</span>}</dd>
        <dt>Enrolled</dt>
        <dd>
          <Ago at={device.enrolledAt} />
        </dd>
        {device.reEnrolledAt === null ? null : (
          <>
            <dt>New secret</dt>
            <dd>
              <Ago at={device.reEnrolledAt} />
              <span className="faint"> {integer.format(device.reEnrolments)} in all</span>
            </dd>
          </>
        )}
        <dt>Stored in</dt>
        <dd>
          <Link href={devicesHref({shard: String(device.shard)})}>shard-{device.shard}</Link>
          <span className="faint"> slot {device.slot}</span>
        </dd>
        {tags.map(([name, value]) => (
          <Tag key={name} name={name} value={value} />
        ))}
        <dt>Hardware</dt>
        <dd className="mono">{device.hardwareId}</dd>
        <dt>Id</dt>
        <dd className="mono">{device.id}</dd>
      </dl>
    </section>
  );
};

const Tag = ({name, value}: {readonly name: string; readonly value: unknown}): ReactNode => (
  <>
    <dt>
      <span className="faint">tag</span> <bdi>{name}</bdi>
    </dt>
    <dd>{typeof value === 'string' ? value : jsonText(value)}</dd>
  </>
);
