import type {ReactNode} from 'react';
import type {DeviceFilter} from '../api/client.ts';
import {STATUSES, type Counts} from '../api/types.ts';
import {STATUS_LABELS, StatusLabel} from '../devices/status.tsx';
import {Link} from '../navigation/navigation.tsx';
import {devicesHref} from '../navigation/view.ts';
import {Proportions} from './proportions.tsx';

interface Row {
  readonly label: string;
  readonly filter: DeviceFilter;
  readonly devices: number;
  readonly byStatus: Counts;
}

const integer = new Intl.NumberFormat();

/** The same counts once more, by group or by shard; every number leads to the devices that it counts. */
export const Breakdown = ({
  title,
  of,
  rows,
}: {
  readonly title: string;
  readonly of: string;
  readonly rows: readonly Row[];
}): ReactNode => (
  <section className="panel breakdown">
    <h2>{title}</h2>
    <div className="scroll-x">
      <table>
        <thead>
          <tr>
            <th scope="col">{of}</th>
            <th scope="col" className="wide">
              Share
            </th>
            <th scope="col" className="number">
              Devices
            </th>
            {STATUSES.map((status) => (
              <th key={status} scope="col" className="number">
                <StatusLabel status={status} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={JSON.stringify(row.filter)}>
              <th scope="row">
                <Link href={devicesHref(row.filter)} title={row.label}>
                  {row.label}
                </Link>
              </th>
              <td className="wide">
                <Proportions counts={row.byStatus} total={row.devices} />
              </td>
              <td className="number">{integer.format(row.devices)}</td>
              {STATUSES.map((status) => (
                <td key={status} className="number">
                  {row.byStatus[status] === 0 ? (
                    <span className="faint">0</span>
                  ) : (
                    <Link
                      href={devicesHref({...row.filter, status})}
                      aria-label={`${integer.format(row.byStatus[status])} ${STATUS_LABELS[status]} in ${row.label}`}
                    >
                      {integer.format(row.byStatus[status])}
                    </Link>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  </section>
);
