//! Traces for an OpenTelemetry collector, where the program was built with the feature `otel`.
//!
//! The spans are those that the log has anyway: `request`, `command`, `round`, `append`. A span continues the trace of
//! whoever asked ([`continue_from`]); without the feature, or without a collector, that is nothing to do.
//! What waits to be sent is bounded by the exporter: beyond, spans are lost and nobody is slowed.

use dao_projections::TraceParent;
use tracing::Span;

/// Makes this span part of the trace that `parent` names. To be called before anything happens in it.
#[cfg(not(feature = "otel"))]
pub fn continue_from(_span: &Span, _parent: Option<TraceParent>) {}

/// Notes in the trace what a request was answered with. The log says that where it matters.
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

    /// Notes in the trace what a request was answered with.
    pub fn answered(span: &Span, status: u16) {
        span.set_attribute("status", i64::from(status));
    }

    /// Makes this span part of the trace that `parent` names. To be called before anything happens in it.
    pub fn continue_from(span: &Span, parent: Option<TraceParent>) {
        let Some(parent) = parent else { return };
        let (trace, id) = (TraceId::from(parent.trace_id), SpanId::from(parent.parent_id));
        let flags = TraceFlags::new(parent.flags);
        let context = SpanContext::new(trace, id, flags, true, TraceState::default());
        if let Err(error) = span.set_parent(Context::new().with_remote_span_context(context)) {
            tracing::trace!(%error, "no trace is recorded");
        }
    }

    /// Why no traces can be sent.
    #[derive(Debug, thiserror::Error)]
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT: {0}; it must be the gRPC port of a collector, like http://localhost:4317"
    )]
    pub struct ExporterError(#[source] ExporterBuildError);

    /// Sends spans to a collector, in batches, from a thread of its own.
    pub struct Exporter(SdkTracerProvider);

    impl Exporter {
        /// To the collector at this address, over gRPC. Must be made within the runtime. What the standard's other
        /// variables say (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*` …) holds.
        pub fn to(endpoint: &str) -> Result<Self, ExporterError> {
            let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
            let mut resource = Resource::builder();
            if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
                resource = resource.with_service_name(env!("CARGO_PKG_NAME"));
            }
            let provider = SdkTracerProvider::builder().with_resource(resource.build());
            Ok(Self(provider.with_batch_exporter(exporter.map_err(ExporterError)?).build()))
        }

        /// What takes this program's spans, whatever is logged.
        pub fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
        where
            S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
        {
            let tracer = self.0.tracer(env!("CARGO_PKG_NAME"));
            let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::DEBUG);
            tracing_opentelemetry::layer().with_tracer(tracer).with_filter(own).boxed()
        }

        /// Sends what waits; at the end of the program.
        pub fn finish(self) {
            if let Err(error) = self.0.force_flush().and_then(|()| self.0.shutdown()) {
                tracing::warn!(%error, "the last traces were not sent");
            }
        }
    }
}
