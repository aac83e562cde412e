import {expect, test} from '@jest/globals';
import {histogramMean} from './means.ts';

const metrics = `# TYPE pisync_bundle_items histogram
pisync_bundle_items_bucket{le="1",service="device-api"} 1
pisync_bundle_items_sum{service="device-api"} 96
pisync_bundle_items_count{service="device-api"} 3
`;

test('divides the sum of a histogram by its count', () => {
  expect(histogramMean(metrics, 'pisync_bundle_items')).toBe(32);
});

test('says NaN of a histogram that is not there', () => {
  expect(histogramMean(metrics, 'pisync_bundle')).toBeNaN();
});
