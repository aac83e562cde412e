import {type Tracer, trace} from '@opentelemetry/api';

/** Spans, sent in the background. While no endpoint is set the tracer does nothing and the SDK is not even loaded. */
export interface Tracing {
  readonly tracer: Tracer;
  stop(): Promise<void>;
}

export interface TracingOptions {
  readonly service: string;
  readonly pod: string;
  /** OTLP/HTTP address; undefined turns tracing off. */
  readonly endpoint: string | undefined;
  /** Share of traces kept, 0..1; a caller's own decision is followed. */
  readonly sampleRatio: number;
}

export const startTracing = async ({service, pod, endpoint, sampleRatio}: TracingOptions): Promise<Tracing> => {
  // The API's global provider is never set, so this is its no-op tracer.
  if (endpoint === undefined) return {tracer: trace.getTracer(service), stop: () => Promise.resolve()};
  const [sdk, {OTLPTraceExporter}, {resourceFromAttributes}] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({'service.name': `pisync-${service}`, 'service.instance.id': pod}),
    sampler: new sdk.ParentBasedSampler({root: new sdk.TraceIdRatioBasedSampler(sampleRatio)}),
    spanProcessors: [new sdk.BatchSpanProcessor({exporter: new OTLPTraceExporter({url: endpoint})})],
  });
  return {tracer: provider.getTracer(service), stop: () => provider.shutdown()};
};
