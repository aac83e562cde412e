import {type Attributes, type Span, SpanKind, SpanStatusCode, type Tracer} from '@opentelemetry/api';
import {contextBelow, parseTraceparent, withSpan} from './trace-context.ts';

export interface LinkedWork<T> {
  readonly tracer: Tracer | undefined;
  readonly name: string;
  /** The `traceparent` of each thing that is worked on, where one came along. */
  readonly traces: () => Iterable<string | undefined>;
  readonly attributes: () => Attributes;
  readonly work: () => Promise<T>;
  /** What came of it. `fault` marks the span as failed. */
  readonly outcome: (result: T) => {readonly attributes: Attributes; readonly fault: string | undefined};
}

/** More would make a span that few viewers show; the rest of a window's traces go without. */
const MAX_LINKS = 32;

/**
 * Does work for many traces at once, with a span that links to them. It is part of the first one's trace, so that one that is alone,
 * which at usual ratios is most of them, is whole. Without a trace there is no span: its sampling was decided where each trace began.
 */
export const workLinked = async <T>(options: LinkedWork<T>): Promise<T> => {
  const {tracer, work} = options;
  if (tracer === undefined) return work();
  const span = startLinked(tracer, options);
  if (span === undefined) return work();
  try {
    const result = await withSpan(span, work);
    const {attributes, fault} = options.outcome(result);
    span.setAttributes(attributes);
    if (fault !== undefined) span.setStatus({code: SpanStatusCode.ERROR, message: fault});
    return result;
  } catch (error) {
    span.setStatus({code: SpanStatusCode.ERROR});
    throw error;
  } finally {
    span.end();
  }
};

const startLinked = <T>(tracer: Tracer, {name, traces, attributes}: LinkedWork<T>): Span | undefined => {
  const distinct = new Set<string>();
  for (const trace of traces()) {
    if (trace !== undefined) distinct.add(trace);
    if (distinct.size === MAX_LINKS) break;
  }
  const links = Array.from(distinct, parseTraceparent)
    .filter((context) => context !== undefined)
    .map((context) => ({context}));
  const [first] = links;
  if (first === undefined) return undefined;
  return tracer.startSpan(
    name,
    {kind: SpanKind.CONSUMER, attributes: attributes(), links},
    contextBelow(first.context),
  );
};
