//! The span around a request, which gives what is logged meanwhile its request id.
//!
//! A span costs about as much as decoding a command, and nothing is logged of a request that goes well. So requests of
//! the fast path ([`super::fast_path`]) get theirs when something is logged, unless somebody may want all of them
//! ([`are_wanted`]).
//!
//! Invariant: a line has the same spans around it either way, at every level of the log. So all of these spans are of
//! the level `error`: no filter that shows a line hides them.
//!
//! Not here: the span of a command ([`super::commands`]).

use std::future::Future;

use axum::{
    extract::Request,
    http::{HeaderValue, Method, Uri},
};
use dao_projections::TraceParent;
use tracing::{Instrument, Span, level_filters::LevelFilter};

use crate::telemetry::{answered, continue_from};

tokio::task_local! {
    /// The request that this task answers, if it has no span yet.
    static UNNAMED: RequestName;
}

/// What the span of a request says.
struct RequestName {
    id: HeaderValue,
    method: Method,
    uri: Uri,
}

/// The span of a request, made or to be made.
pub(super) struct RequestSpan {
    span: Span,
    later: Option<RequestName>,
}

impl RequestSpan {
    /// A span that is made now.
    pub(super) fn now(request: &Request, id: &HeaderValue, parent: Option<TraceParent>) -> Self {
        let shown = id.to_str().unwrap_or_default();
        let (method, path) = (request.method(), request.uri().path());
        let span = tracing::error_span!("request", request_id = shown, %method, path);
        continue_from(&span, parent);
        Self { span, later: None }
    }

    /// A span that is made when something is logged, unless all of them are wanted.
    pub(super) fn when_logged(request: &Request, id: &HeaderValue, parent: Option<TraceParent>) -> Self {
        if are_wanted() {
            return Self::now(request, id, parent);
        }
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { span: Span::none(), later: Some(RequestName { id: id.clone(), method, uri }) }
    }

    /// Answers the request within it. `status_of` reads the status of the answer.
    pub(super) async fn around<T>(
        self,
        answering: impl Future<Output = T>,
        status_of: impl FnOnce(&T) -> u16,
    ) -> T {
        match self.later {
            Some(name) => UNNAMED.scope(name, answering).await,
            None => {
                let answer = answering.instrument(self.span.clone()).await;
                answered(&self.span, status_of(&answer));
                answer
            }
        }
    }
}

/// Whether somebody may want the spans of all requests: whatever listens at `debug`, be it to one module. That is a log,
/// a filter that names spans, or a collector of traces.
pub(super) fn are_wanted() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

/// Runs `log` within the span of the request that this task answers.
pub(super) fn in_request<T>(log: impl FnOnce() -> T) -> T {
    if !Span::current().is_disabled() {
        return log();
    }
    let span = UNNAMED.try_with(|RequestName { id, method, uri }| {
        let shown = id.to_str().unwrap_or_default();
        tracing::error_span!("request", request_id = shown, %method, path = uri.path())
    });
    match span {
        Ok(span) => span.in_scope(log),
        Err(_) => log(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use axum::body::Body;
    use dao_projections::{GraphId, OperationId, UserId};
    use serde_json::Value;
    use tracing_subscriber::{
        EnvFilter, Layer, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt,
    };

    use super::*;
    use crate::http::commands::CommandSpan;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic while locked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

    impl Log {
        fn layer<F>(&self, filter: F) -> BoxedLayer
        where
            F: tracing_subscriber::layer::Filter<Registry> + Send + Sync + 'static,
        {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
            layer.with_writer(self.clone()).with_filter(filter).boxed()
        }

        fn lines(&self) -> Vec<Value> {
            let bytes = self.0.lock().expect("no panic while locked").clone();
            let text = String::from_utf8(bytes).expect("text");
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        }
    }

    /// What two lines say that are logged of one command: while it is under way, and of its failure.
    async fn logged_of_a_command() {
        let request = Request::post("/graphs/g/command").body(Body::empty()).expect("a request");
        let span = RequestSpan::when_logged(&request, &HeaderValue::from_static("request-1"), None);
        let graph: GraphId = "g".parse().expect("a graph id");
        let (operation, user) = (OperationId::from(uuid::Uuid::from_u128(1)), "ada".parse::<UserId>());
        let answering = async {
            let span = CommandSpan::of(&graph, operation, &user.expect("a user"));
            let under_way = async { tracing::debug!(target: "dao_api::write", "under way") };
            under_way.instrument(span.span.clone()).await;
            span.logging(|| tracing::warn!("failed"));
            in_request(|| tracing::warn!("answered"));
        };
        span.around(answering, |()| 503).await;
    }

    /// The spans around a line, and whether they say what it is about.
    fn spans(line: &Value) -> Vec<String> {
        let spans = line["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
        for span in spans {
            let (request, command) = (&span["request_id"], &span["graph"]);
            assert!(*request == "request-1" || (*command == "g" && span["user"] == "ada"), "{span}");
        }
        spans.iter().map(|span| span["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn log_with(layers: Vec<BoxedLayer>) {
        let subscriber = tracing_subscriber::registry().with(layers);
        let _guard = tracing::subscriber::set_default(subscriber);
        logged_of_a_command().await;
    }

    #[tokio::test]
    async fn h1_lines_have_their_spans_whether_or_not_a_collector_listens() {
        let filter = || "info".parse::<Targets>().expect("a filter");
        let all = || Targets::new().with_target("dao_api", tracing::Level::DEBUG);
        for has_collector in [false, true] {
            let (log, collector) = (Log::default(), Log::default());
            let mut layers = vec![log.layer(filter())];
            if has_collector {
                layers.push(collector.layer(all()));
            }
            log_with(layers).await;
            let lines = log.lines();
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert_eq!((&lines[0]["message"], spans(&lines[0])), (&"failed".into(), named(2)), "{lines:?}");
            assert_eq!((&lines[1]["message"], spans(&lines[1])), (&"answered".into(), named(1)), "{lines:?}");
            assert_eq!(collector.lines().len(), if has_collector { 3 } else { 0 });
        }
    }

    /// The names of the outermost spans of a command.
    fn named(count: usize) -> Vec<String> {
        ["request", "command"][..count].iter().map(|name| (*name).to_owned()).collect()
    }

    #[tokio::test]
    async fn h1_lines_of_one_module_at_debug_say_which_command_they_are_about() {
        let log = Log::default();
        log_with(vec![log.layer("info,dao_api::write=debug".parse::<Targets>().expect("a filter"))]).await;
        let lines = log.lines();
        assert_eq!(
            (lines.len(), &lines[0]["message"], spans(&lines[0])),
            (3, &"under way".into(), named(2)),
            "{lines:?}"
        );
        // A filter that names spans sees them.
        let log = Log::default();
        log_with(vec![log.layer(EnvFilter::new("warn,[command{user=ada}]=debug"))]).await;
        assert!(log.lines().iter().any(|line| line["message"] == "under way"), "{:?}", log.lines());
    }
}
