//! What every answer has: a request id, headers that keep browsers and caches safe, compression where it pays off, and a
//! place in the counts.
//!
//! One function stands around all routes and one around each route. A layer for each of these things would be another boxed
//! service, cloned for each request. Commands and batches go past the router altogether ([`super::fast_path`]).
//!
//! Invariants:
//! - Every request is answered: a handler that panics is a 500, a method that a route does not take is a 405, and each is a
//!   problem document.
//! - Two encodings of one state never share a strong entity tag (RFC 9110, 8.8.3).
//! - Streams are not compressed, because an encoder would hold back what the reader waits for.

use std::{
    convert::Infallible,
    future::{Future, ready},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tower::{Layer, Service, ServiceExt};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::SizeAbove},
    cors::CorsLayer,
};

use super::{
    app::App,
    content_encoding::choose_encoding,
    cors,
    extractors::TraceContext,
    fast_path::{FastPath, FastRequest},
    guard,
    metrics::RequestMetrics,
    problem::Problem,
    request_body::content_length,
    request_head,
    request_id::request_id,
    request_limits::RequestLimits,
    request_span::{RequestSpan, in_request},
    response_headers::{essence, mark},
    response_memory::ResponseMemory,
};

/// Answers shorter than this are not compressed: they fit into one packet anyway.
const COMPRESSED_BYTES_MIN: u64 = 1 << 10;

/// The router, and what is done for every request. Clones are cheap.
#[derive(Clone)]
pub(super) struct HttpService(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    routes: Router,
    /// What answers commands and batches past the router; `None` if nothing does.
    fast_path: Option<FastPath>,
    metrics: Option<Arc<RequestMetrics>>,
    memory: Arc<ResponseMemory>,
    /// `None` if no CORS headers are sent.
    cors: Option<CorsLayer>,
}

impl HttpService {
    /// A service for these routes, with or without metrics.
    pub(super) fn of(routes: Router, metrics: Option<RequestMetrics>, limits: RequestLimits) -> Self {
        let memory = Arc::new(ResponseMemory::new(limits.answers_bytes_max));
        let metrics = metrics.map(Arc::new);
        Self(Arc::new(Parts { routes, fast_path: None, metrics, memory, cors: None }))
    }

    /// The same with CORS.
    pub(super) fn with_cors(mut self, cors: CorsLayer) -> Self {
        Arc::make_mut(&mut self.0).cors = Some(cors);
        self
    }

    /// The same with a fast path.
    pub(super) fn with_fast_path(mut self, fast_path: Option<FastPath>) -> Self {
        Arc::make_mut(&mut self.0).fast_path = fast_path;
        self
    }

    /// Answers one request.
    pub(super) async fn answer(self, mut request: Request) -> Response {
        let began = Instant::now();
        let id = request_id(request.headers());
        let trace = TraceContext::of(request.headers());
        let fast = self.0.fast_path.as_ref().and_then(|fast_path| fast_path.recognise(&request));
        let span = match fast {
            Some(_) => RequestSpan::when_logged(&request, &id, trace.0),
            None => RequestSpan::now(&request, &id, trace.0),
        };
        let encoding = choose_encoding(request.headers());
        let is_head = request.method() == Method::HEAD;
        let asked_tags = request.headers().get(header::IF_NONE_MATCH).cloned();
        if trace.0.is_some() {
            request.extensions_mut().insert(trace);
        }
        let (response, template) =
            span.around(self.0.route(fast, request), |(response, _)| response.status().as_u16()).await;
        if let Some(metrics) = &self.0.metrics {
            metrics.answered(&response, template, began.elapsed());
        }
        let response = self.0.memory.count(response).await;
        let mut response = compressed(response, encoding, is_head).await;
        weaken_tag(&mut response, encoding, asked_tags.as_ref());
        mark(response.headers_mut(), id);
        response
    }
}

impl Parts {
    /// The answer of a route, and its template if the router did not match it.
    async fn route(
        &self,
        fast: Option<FastRequest<'_>>,
        request: Request,
    ) -> (Response, Option<&'static str>) {
        if let Err(problem) = request_head::check(&request) {
            return (problem.into_response(), None);
        }
        match fast {
            Some(fast) => {
                let route = tower::service_fn(|request| fast.answer(request).map(Ok));
                (self.answered_by(route, request).await, Some(fast.template()))
            }
            None => (self.answered_by(self.routes.clone(), request).await, None),
        }
    }

    async fn answered_by<S>(&self, mut routes: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        match &self.cors {
            // Before the guard: browsers send preflights without a token.
            Some(layer) => cors::answer(layer, routes, request).await,
            None => routes.call(request).await.unwrap_or_else(|never| match never {}),
        }
    }
}

impl HttpService {
    /// Completes an answer that no route gave.
    pub(super) fn finished(&self, mut response: Response) -> Response {
        if let Some(metrics) = &self.0.metrics {
            metrics.answered(&response, None, Duration::ZERO);
        }
        mark(response.headers_mut(), request_id(&HeaderMap::new()));
        response
    }
}

/// Stands around each route: turns panics and wrong methods into problem documents, and marks the answer with its route.
pub(super) async fn of_route(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = without_panics(guard::guard(&app, request, next)).await;
    let mut response = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::method_not_allowed(response.headers().get(header::ALLOW).cloned()).into_response()
        }
        _ => response,
    };
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Turns a panic into a problem document.
pub(super) async fn without_panics(answering: impl Future<Output = Response>) -> Response {
    let answered = AssertUnwindSafe(answering).catch_unwind().await;
    answered.unwrap_or_else(|_panic| {
        in_request(|| tracing::error!("the handler of this request panicked"));
        Problem::internal().into_response()
    })
}

/// Compresses an answer in the chosen encoding if it is worth it. An answer to `HEAD` has no body, and gets the headers
/// of the answer to `GET`.
async fn compressed(response: Response, encoding: Option<&'static str>, is_head: bool) -> Response {
    let bytes = match is_head {
        true => content_length(response.headers()),
        false => response.body().size_hint().exact(),
    };
    if bytes.is_none_or(|bytes| bytes < COMPRESSED_BYTES_MIN) || !is_compressible(response.headers()) {
        return response;
    }
    let mut asked = Request::new(Body::empty());
    if let Some(encoding) = encoding {
        asked.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    }
    let layer = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(0));
    let mut response = Some(response);
    let answer = move |_: Request| ready(Ok::<_, Infallible>(response.take().unwrap_or_default()));
    match layer.layer(tower::service_fn(answer)).oneshot(asked).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// Whether the content compresses well: text, JSON and MessagePack do, images and archives don't.
fn is_compressible(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence.starts_with("text/") && essence != "text/event-stream"
        || essence.ends_with("json")
        || essence.ends_with("msgpack")
        || essence.ends_with("javascript")
        || essence == "image/svg+xml"
}

/// A compressed answer is the same state in other bytes, so its tag is a weak one; and so is that of the 304 that
/// says a compressed answer is still good.
fn weaken_tag(response: &mut Response<Body>, encoding: Option<&str>, asked: Option<&HeaderValue>) {
    let headers = response.headers();
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let weak = format!("W/{tag}");
    let is_known_weak = || asked.and_then(|tags| tags.to_str().ok()).is_some_and(|tags| tags.contains(&weak));
    let is_compressed = headers.contains_key(header::CONTENT_ENCODING);
    let is_still_good =
        response.status() == StatusCode::NOT_MODIFIED && encoding.is_some() && is_known_weak();
    if !tag.starts_with("W/")
        && (is_compressed || is_still_good)
        && let Ok(weak) = HeaderValue::from_str(&weak)
    {
        response.headers_mut().insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use axum::{middleware, routing::get};
    use http_body_util::BodyExt;

    use super::*;
    use crate::{
        http::{RequestLimits, SocketConfig, request_id::REQUEST_ID},
        store::embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
        telemetry::{Metrics, Sampled},
        write::{Graphs, GraphsConfig},
    };

    #[tokio::test]
    async fn a_handler_that_panics_is_a_problem_with_an_id_and_is_counted_under_its_route() {
        let dir = tempfile::tempdir().expect("a directory");
        let (dir, ttl) = (dir.path().into(), Duration::from_secs(3_600));
        let store =
            EmbeddedStore::open(EmbeddedConfig { dir, durability: SyncMode::Interval, operation_ttl: ttl });
        let metrics = Metrics::default();
        let graphs = GraphsConfig { metrics: metrics.clone(), ..GraphsConfig::default() };
        let graphs = Graphs::new(Arc::new(store.expect("a store")), graphs);
        let app = App::new(graphs, RequestLimits::default(), SocketConfig::default());
        async fn defective() -> StatusCode {
            panic!("as a defect would")
        }
        let routes = Router::new()
            .route("/healthz", get(defective))
            .layer(middleware::from_fn_with_state(app.clone(), of_route))
            .with_state(app);
        let service = HttpService::of(
            routes,
            Some(RequestMetrics::of(&metrics, ["/healthz"].into_iter())),
            RequestLimits::default(),
        );

        let request =
            Request::get("/healthz").header("host", "a").header(REQUEST_ID, "of-mine").body(Body::empty());
        let response = service.answer(request.expect("a request")).await;

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[REQUEST_ID], "of-mine");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert!(body.starts_with(b"{") && String::from_utf8_lossy(&body).contains("INTERNAL"), "{body:?}");
        let text = metrics.encode(&Sampled::default()).expect("text");
        let counted = "dao_http_requests_total{route=\"/healthz\",status=\"500\"} 1";
        assert!(text.contains(counted), "{text}");
    }
}
