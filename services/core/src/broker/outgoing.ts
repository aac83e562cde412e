/** A message on its way to the broker. */
export interface Outgoing {
  readonly exchange: string;
  readonly routingKey: string;
  /** Messages of one exchange that go the same way go to the same queue. Without: those with the same routing key do. */
  readonly way?: string;
  readonly content: Buffer;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string | number>>;
}
