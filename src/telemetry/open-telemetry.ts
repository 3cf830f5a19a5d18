import {
  context,
  diag,
  DiagLogLevel,
  SpanKind,
  trace,
  type Context,
  type Span,
  type SpanOptions,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base";
import { endsWithin } from "../lib/within.ts";
import { limits } from "../limits.ts";
import { VERSION } from "../version.ts";
import { getLogger } from "./logs.ts";
import { createSpanSender } from "./otlp-sender.ts";
import { createSpanExporter } from "./otlp-spans.ts";
import { remoteContext, remoteSpan } from "./remote-context.ts";
import { fullRequests, setFailed, traceparentOf } from "./request-spans.ts";
import { runIn } from "./run-in-span.ts";
import { createSpanGroups } from "./span-groups.ts";
import type { Continued, RunningSpan, TraceConfig, Traces } from "./traces.ts";

const log = getLogger("telemetry");

/**
 * Traces by OpenTelemetry's library, in which others can have spans: the framework's steps, a search's parts. They are sent
 * in batches, so that no request waits for the collector, and what it does not take is lost.
 */
export function openDetailedTraces(config: TraceConfig): Traces {
  const { otelServiceName, traceShare } = config;
  hearDiagnostics();
  const batches = new BatchSpanProcessor(createSpanExporter(createSpanSender(config)), {
    maxQueueSize: limits.traceSpansQueuedMax,
  });
  const groups = createSpanGroups();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      "service.name": otelServiceName,
      "service.version": VERSION.version,
      "process.pid": process.pid,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(traceShare) }),
    // Groups tidy a span up before the batches take it.
    spanProcessors: [groups, batches],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  const tracer = provider.getTracer(otelServiceName);
  const request = fullRequests(tracer);
  return {
    detailed: true,
    request: (start) => request(start, (span) => groups.ended(span)),
    open: () => groups.size,
    span: (name, work) => runIn(running(tracer.startSpan(name), context.active()), work),
    begin(from) {
      const parent = remoteContext(from);
      return running(tracer.startSpan(from.name, spanOptions(from), parent), parent);
    },
    current() {
      const span = trace.getSpanContext(context.active());
      return span === undefined ? undefined : traceparentOf(span);
    },
    currentState: () => trace.getSpanContext(context.active())?.traceState?.serialize(),
    async [Symbol.asyncDispose]() {
      groups.endAll();
      await endsWithin(limits.traceFlushMsMax, provider.shutdown());
      trace.disable();
      context.disable();
      diag.disable();
    },
  };
}

function spanOptions({ kind, links = [] }: Continued): SpanOptions {
  const linked = links.map((traceparent) => remoteSpan({ traceparent }));
  return {
    kind: kind === "client" ? SpanKind.CLIENT : SpanKind.CONSUMER,
    links: linked.flatMap((one) => (one === undefined ? [] : [{ context: one }])),
  };
}

function running(span: Span, parent: Context): RunningSpan {
  const active = trace.setSpan(parent, span);
  return {
    traceparent: traceparentOf(span.spanContext()),
    tracestate: span.spanContext().traceState?.serialize(),
    run: (work) => context.with(active, work),
    end({ attributes = {}, errorType } = {}) {
      span.setAttributes(attributes);
      if (errorType !== undefined) setFailed(span, errorType);
      span.end();
    },
  };
}

function tell(message: string): void {
  log.debug("telemetry.diagnostic", { message });
}

/** What OpenTelemetry has to say goes into our log; that a collector is away is told by the exporter, once. */
function hearDiagnostics(): void {
  const logger = { error: tell, warn: tell, info: tell, debug: tell, verbose: tell };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}
