import {type Static, Type} from 'typebox';
import {Compile} from 'typebox/compile';
import {AppError} from '@pisync/core/errors/app-error';
import {isStorable} from '@pisync/core/json/storable';
import {parseJson, refuseEqualNames} from '../sync/sync-body.ts';
import {isPlaceholder} from './placeholder.ts';

/** `.` would not match a line break, and a key that matches nothing is not looked at. */
const TAG = '^[\\s\\S]{1,64}$';

const enrolSchema = Type.Object({
  /** May come as the bearer token instead. */
  enrolmentToken: Type.Optional(Type.String({minLength: 1, maxLength: 256})),
  /** The board's serial number or the like: what stays when the card is replaced. */
  hardwareId: Type.String({minLength: 1, maxLength: 128}),
  /** 32 random bytes in base64url, made by the device. */
  secret: Type.String({pattern: '^[A-Za-z0-9_-]{43}$'}),
  name: Type.Optional(Type.String({maxLength: 128})),
  model: Type.Optional(Type.String({maxLength: 128})),
  tags: Type.Optional(
    Type.Record(Type.String({pattern: TAG}), Type.String({maxLength: 256}), {
      maxProperties: 32,
      additionalProperties: false,
    }),
  ),
});

const validator = Compile(enrolSchema);

export type EnrolBody = Readonly<Static<typeof enrolSchema>>;

/** @throws AppError `malformed-json` or `bad-request` with one entry per fault. */
export const parseEnrolBody = (bytes: Buffer): EnrolBody => {
  const {json, doubts} = parseJson(bytes);
  refuseEqualNames([...doubts.equalNames.values()][0]);
  if (!validator.Check(json)) {
    const errors = validator.Errors(json).map(({instancePath, message}) => ({pointer: instancePath, detail: message}));
    throw new AppError('bad-request', 'the body is not an enrolment', {errors});
  }
  // Every member is text, so no number can be lost.
  if (doubts.text && !isStorable(json))
    throw new AppError('bad-request', 'the enrolment has text that cannot be stored');
  if (isPlaceholder(json.hardwareId)) {
    const detail = 'is what machines without a serial number say, so it names none; give the device an id of its own';
    throw new AppError('bad-request', `the hardware id ${detail}`, {errors: [{pointer: '/hardwareId', detail}]});
  }
  return json;
};
