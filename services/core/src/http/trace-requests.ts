import type {IncomingMessage, ServerResponse} from 'node:http';
import {ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, type Tracer} from '@opentelemetry/api';
import {parseTraceparent, withSpan} from '../telemetry/trace-context.ts';

type Handle = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Those that OpenTelemetry's conventions know; another one must not become a name. */
const METHODS: ReadonlySet<string> = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
]);

/**
 * A server span for every request of a kept trace, by OpenTelemetry's conventions for HTTP, but without path and address: they name
 * devices and people. Each begins a trace of its own, kept by our ratio alone, that names the caller's: requests are traced before anybody
 * knows who sends them, and what is kept costs.
 */
export const traceRequests =
  (handle: Handle, tracer: Tracer): Handle =>
  (request, response) => {
    const known = request.method !== undefined && METHODS.has(request.method) ? request.method : undefined;
    const caller = parseTraceparent(request.headers.traceparent);
    const span = tracer.startSpan(
      known ?? 'HTTP',
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': known ?? '_OTHER',
          'url.scheme': request.headers['x-forwarded-proto'] === 'https' ? 'https' : 'http',
        },
        links: caller === undefined ? [] : [{context: caller}],
      },
      ROOT_CONTEXT,
    );
    if (!span.isRecording()) {
      handle(request, response);
      return;
    }
    response.once('close', () => end(span, known ?? 'HTTP', request, response));
    withSpan(span, () => handle(request, response));
  };

const end = (span: Span, method: string, request: IncomingMessage, response: ServerResponse): void => {
  const route = routeOf(request);
  if (route !== undefined) {
    span.updateName(`${method} ${route}`);
    span.setAttribute('http.route', route);
  }
  if (response.headersSent) span.setAttribute('http.response.status_code', response.statusCode);
  const fault = faultOf(response);
  if (fault !== undefined) {
    span.setAttribute('error.type', fault);
    span.setStatus({code: SpanStatusCode.ERROR});
  }
  span.end();
};

const faultOf = (response: ServerResponse): string | undefined => {
  if (!response.writableFinished) return 'connection-closed';
  return response.statusCode >= 500 ? String(response.statusCode) : undefined;
};

/** The template of the route that took the request. Express leaves it there; what no route took has none. */
const routeOf = (request: IncomingMessage): string | undefined => {
  const route: unknown = 'route' in request ? request.route : undefined;
  if (typeof route !== 'object' || route === null || !('path' in route)) return undefined;
  return typeof route.path === 'string' ? route.path : undefined;
};
