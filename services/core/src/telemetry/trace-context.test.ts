import {expect, test} from '@jest/globals';
import {parseTraceparent} from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test.each([
  ['a kept trace', `00-${TRACE}-${SPAN}-01`, 1],
  ['a trace that is not kept', `00-${TRACE}-${SPAN}-00`, 0],
  ['flags that this version does not know', `00-${TRACE}-${SPAN}-ff`, 1],
  ['a later version with more at its end', `01-${TRACE}-${SPAN}-01-more`, 1],
])('%s is read', (_, text, traceFlags) => {
  expect(parseTraceparent(text)).toEqual({traceId: TRACE, spanId: SPAN, traceFlags, isRemote: true});
});

test.each([
  ['nothing', undefined],
  ['an empty text', ''],
  ['no trace', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['no span', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['a version that never is', `ff-${TRACE}-${SPAN}-01`],
  ['more than its version has', `00-${TRACE}-${SPAN}-01-more`],
  ['two of them', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
])('%s is no caller', (_, text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});
