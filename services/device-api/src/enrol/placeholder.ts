/**
 * What makers leave where a serial number belongs: DMI tables of boards that were never labelled, a Pi's fuses that were never burnt, an emulator. Every machine
 * of a kind has the same one, so all of them would be one device. Letters and digits alone, in small ones.
 * Sources: dmidecode's and systemd's lists, and those of inventory tools.
 */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  '',
  '0',
  '0123456789',
  '0123456789abcdef',
  '01234567890123456789',
  '1234567',
  '12345678',
  '123456789',
  '1234567890',
  '03000200040005000006000700080009',
  'baseboardserialnumber',
  'chassisserialnumber',
  'defaultstring',
  'empty',
  'invalid',
  'na',
  'none',
  'notapplicable',
  'notavailable',
  'notset',
  'notspecified',
  'null',
  'oem',
  'serial',
  'serialnumber',
  'sn',
  'systemserialnumber',
  'tobefilledbyoem',
  'unavailable',
  'undefined',
  'uninitialized',
  'unknown',
  'unset',
  'unspecified',
]);

const SAME_ALL_THROUGH = /^(.)\1+$/;

/** Whether a hardware id says nothing of which machine it is. */
export const isPlaceholder = (hardwareId: string): boolean => {
  const bare = hardwareId.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
  return PLACEHOLDERS.has(bare) || SAME_ALL_THROUGH.test(bare);
};
