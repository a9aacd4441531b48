//! Traces for an OpenTelemetry collector, if the program was built with the feature `otel`.
//!
//! The spans are those of the log: `request`, `command`, `round`, `append`. A span continues the trace of the caller
//! ([`continue_from`]). Without the feature, or without a collector, nothing is recorded. The exporter bounds its queue:
//! when it is full, spans are dropped and requests are not slowed down.

use dao_projections::TraceParent;
use tracing::Span;

/// Makes this span part of the trace that `parent` names. Call it before the span is entered.
#[cfg(not(feature = "otel"))]
pub fn continue_from(_span: &Span, _parent: Option<TraceParent>) {}

/// Records the status of a response in the trace.
#[cfg(not(feature = "otel"))]
pub fn answered(_span: &Span, _status: u16) {}

#[cfg(feature = "otel")]
pub use exporting::{Exporter, ExporterError, answered, continue_from};

#[cfg(feature = "otel")]
mod exporting {
    use opentelemetry::{
        Context,
        trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider},
    };
    use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
    use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
    use tracing::{Level, Subscriber};
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

    use super::{Span, TraceParent};

    /// Records the status of a response in the trace.
    pub fn answered(span: &Span, status: u16) {
        span.set_attribute("status", i64::from(status));
    }

    /// Makes this span part of the trace that `parent` names. Call it before the span is entered.
    pub fn continue_from(span: &Span, parent: Option<TraceParent>) {
        let Some(parent) = parent else { return };
        let (trace, id) = (TraceId::from(parent.trace_id), SpanId::from(parent.parent_id));
        let flags = TraceFlags::new(parent.flags);
        let context = SpanContext::new(trace, id, flags, true, TraceState::default());
        if let Err(error) = span.set_parent(Context::new().with_remote_span_context(context)) {
            tracing::trace!(%error, "the trace context was not set");
        }
    }

    /// Why the exporter could not be created.
    #[derive(Debug, thiserror::Error)]
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT: {0}; it must be the gRPC port of a collector, like http://localhost:4317"
    )]
    pub struct ExporterError(#[source] ExporterBuildError);

    /// Sends spans to a collector, in batches, from a thread of its own.
    pub struct Exporter(SdkTracerProvider);

    impl Exporter {
        /// Exports to the collector at this address over gRPC. Call it within the runtime. The other variables of the
        /// standard (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*` …) apply.
        pub fn to(endpoint: &str) -> Result<Self, ExporterError> {
            let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
            let mut resource = Resource::builder();
            if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
                resource = resource.with_service_name(env!("CARGO_PKG_NAME"));
            }
            let provider = SdkTracerProvider::builder().with_resource(resource.build());
            Ok(Self(provider.with_batch_exporter(exporter.map_err(ExporterError)?).build()))
        }

        /// The layer that records this program's spans, whatever the log level.
        pub fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
        where
            S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
        {
            let tracer = self.0.tracer(env!("CARGO_PKG_NAME"));
            let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::DEBUG);
            tracing_opentelemetry::layer().with_tracer(tracer).with_filter(own).boxed()
        }

        /// Sends the remaining spans at the end of the program.
        pub fn finish(self) {
            if let Err(error) = self.0.force_flush().and_then(|()| self.0.shutdown()) {
                tracing::warn!(%error, "the last traces were not sent");
            }
        }
    }
}
