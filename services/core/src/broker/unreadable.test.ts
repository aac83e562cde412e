import {expect, test} from '@jest/globals';
import {brokerNames} from './names.ts';
import {decodeUnreadable, publishUnreadable} from './unreadable.ts';

test('what is published is what is read, and anything else is kept whole', async () => {
  const message = {reason: 'cut off', detail: {queue: 'q'}, content: Buffer.from([0, 1, 255])};
  const sent: Buffer[] = [];
  const publish = ({content}: {readonly content: Buffer}) => {
    sent.push(content);
    return Promise.resolve();
  };
  await publishUnreadable({publish}, brokerNames('test'), message);
  expect(sent.map(decodeUnreadable)).toEqual([message]);
  for (const content of [Buffer.alloc(0), Buffer.from('none of ours'), Buffer.from([0, 0, 0, 2, 123, 125])]) {
    expect(decodeUnreadable(content)).toMatchObject({content, detail: {}});
  }
});
