import type {Tracer} from '@opentelemetry/api';
import type {SpanExporter} from '@opentelemetry/sdk-trace';
import {describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import type {Logger} from './logger.ts';

export type {Tracer} from '@opentelemetry/api';

/** Spans, sent in the background. */
export interface Tracing {
  /** Undefined while no endpoint is set: nothing of the SDK is loaded then, and whoever would make a span does not. */
  readonly tracer: Tracer | undefined;
  /** Sends what is left for at most two seconds. Never rejects: a collector that is away is no fault of this process. */
  stop(): Promise<void>;
}

export interface TracingOptions {
  readonly service: string;
  readonly pod: string;
  /** Address of an OTLP/HTTP receiver, with or without its `/v1/traces`; undefined turns tracing off. */
  readonly endpoint: string | undefined;
  /** Share of traces kept, 0..1, of those that begin here. */
  readonly sampleRatio: number;
  readonly log: Logger;
}

/** Well within what a stop leaves to its last resources. */
const FLUSH_MS = 2_000;
/** Of one export with its repetitions. Meanwhile spans wait, up to a bound, and are dropped beyond it. */
const EXPORT_MS = 5_000;
const TRACES_PATH = '/v1/traces';

export const startTracing = async (options: TracingOptions): Promise<Tracing> => {
  const {service, pod, endpoint, sampleRatio, log} = options;
  if (endpoint === undefined) return {tracer: undefined, stop: () => Promise.resolve()};
  const [sdk, {OTLPTraceExporter}, {resourceFromAttributes}] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const url = tracesUrl(endpoint);
  const exporter = tellingChanges(new OTLPTraceExporter({url, timeoutMillis: EXPORT_MS}), log);
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({'service.name': `pisync-${service}`, 'service.instance.id': pod}),
    sampler: new sdk.ParentBasedSampler({root: new sdk.TraceIdRatioBasedSampler(sampleRatio)}),
    spanProcessors: [new sdk.BatchSpanProcessor({exporter})],
  });
  return {
    tracer: provider.getTracer(`pisync-${service}`),
    async stop() {
      try {
        await withTimeout(provider.shutdown(), FLUSH_MS, `the last spans were not taken within ${FLUSH_MS} ms`);
      } catch (error) {
        log.debug({reason: describeError(error)}, 'the last spans are lost');
      }
    },
  };
};

const tracesUrl = (endpoint: string): string => {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = path.endsWith(TRACES_PATH) ? path : `${path}${TRACES_PATH}`;
  return url.href;
};

/** One line when exports begin to fail and one when they work again, however many fail between. */
const tellingChanges = (exporter: SpanExporter, log: Logger): SpanExporter => {
  let isFailing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const {error} = result;
        if (error !== undefined && !isFailing) log.warn({reason: describeError(error)}, 'spans cannot be sent');
        if (error === undefined && isFailing) log.info({}, 'spans are sent again');
        isFailing = error !== undefined;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
};
