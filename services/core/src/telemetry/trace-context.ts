import {AsyncLocalStorage} from 'node:async_hooks';
import {type Context, isSpanContextValid, ROOT_CONTEXT, type Span, type SpanContext, trace} from '@opentelemetry/api';

/**
 * The span that work is done for, without passing it through every call. It holds no state of its own: what is in it came
 * with the work. Sockets and timers that a request happens to open keep its span, so a span counts only until it ends.
 */
const active = new AsyncLocalStorage<Span>();

export const withSpan = <T>(span: Span, work: () => T): T => active.run(span, work);

/** Undefined without a span, when it has ended, and when its trace is not kept. */
const activeContext = (): SpanContext | undefined => {
  const span = active.getStore();
  return span?.isRecording() === true ? span.spanContext() : undefined;
};

/** The active span as a W3C `traceparent`, to be carried along; only traces that are kept are carried. */
export const activeTrace = (): string | undefined => {
  const context = activeContext();
  return context === undefined ? undefined : `00-${context.traceId}-${context.spanId}-01`;
};

/** What a log line says of the active span, under the names that OpenTelemetry gives them in logs of other formats. */
export const traceFields = (): object => {
  const context = activeContext();
  return context === undefined ? {} : {trace_id: context.traceId, span_id: context.spanId};
};

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The caller's span, or undefined when the text names none. Later versions of the format are read as far as they are known. */
export const parseTraceparent = (text: unknown): SpanContext | undefined => {
  const match = typeof text === 'string' ? TRACEPARENT.exec(text) : null;
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', rest] = match;
  if (version === '00' && rest !== undefined) return undefined;
  const context = {traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true};
  return isSpanContextValid(context) ? context : undefined;
};

/** For the start of a span below `parent`. */
export const contextBelow = (parent: SpanContext): Context => trace.setSpanContext(ROOT_CONTEXT, parent);
