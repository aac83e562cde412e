/**
 * What simulated devices measure: the hourly normals of Seattle's weather station (NOAA, 1981–2010) from the npm package vega-datasets. Each device starts at its
 * own hour of the year, so no two neighbours send the same series.
 */
import type {Reading} from '../client/wire.ts';

interface Hour {
  readonly temperatureC: number;
  readonly pressureHpa: number;
  readonly windMps: number;
}

export type Series = readonly Hour[];

const HOUR_MS = 3600_000;
/** Coprime to the 8,759 hours of the series, so that offsets repeat only after as many devices. */
const OFFSET_STRIDE_HOURS = 37;

/** @param csv with the header `date,pressure,temperature,wind`. @throws when a column is missing or a value is not a number. */
export const parseSeries = (csv: string): Series => {
  const [header = '', ...lines] = csv.trim().split(/\r?\n/);
  const columns = header.split(',');
  const column = (name: string): number => {
    const index = columns.indexOf(name);
    if (index < 0) throw new Error(`the weather series has no column "${name}", only ${header}`);
    return index;
  };
  const [pressure, temperature, wind] = [column('pressure'), column('temperature'), column('wind')];
  return lines.map((line, index) => {
    const cells = line.split(',');
    const value = (at: number): number => {
      const number = Number(cells[at] ?? Number.NaN);
      if (Number.isNaN(number))
        throw new Error(`line ${index + 2} of the weather series is not measured values: ${line}`);
      return number;
    };
    return {pressureHpa: value(pressure), temperatureC: value(temperature), windMps: value(wind)};
  });
};

/** The readings `from`..`from + count - 1` of a device, an hour apart; the newest was taken at `nowMs`. */
export const readingsOf = (
  series: Series,
  deviceIndex: number,
  from: number,
  count: number,
  nowMs: number,
): readonly Reading[] =>
  Array.from({length: count}, (_, index) => {
    const hour = series[(deviceIndex * OFFSET_STRIDE_HOURS + from + index) % series.length];
    return {k: 'weather', t: nowMs - (count - 1 - index) * HOUR_MS, d: {...hour}};
  });
