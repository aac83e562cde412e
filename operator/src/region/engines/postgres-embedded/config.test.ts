import {expect, test} from '@jest/globals';
import {SimulatedRegion} from '../../testing/simulated-region.ts';

const serverConf = (parameters: Readonly<Record<string, string>>): string => {
  const region = new SimulatedRegion({region: 'eu-west', postgres: {parameters}});
  region.settle();
  return JSON.stringify(region.find('ConfigMap', 'eu-postgres')?.['data']);
};

test('a value is the same text for the server, whatever is in it', () => {
  const conf = serverConf({log_line_prefix: String.raw`it's \101 %m`});
  expect(conf).toContain(JSON.stringify(String.raw`log_line_prefix = 'it''s \\101 %m'`).slice(1, -1));
});
