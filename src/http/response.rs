//! What every answer has: a request id, headers that keep browsers and caches safe, compression where it pays off, and a
//! place in the counts.
//!
//! One function stands around all routes and one around each route. A layer for each of these things would be another boxed
//! service, cloned for each request.
//!
//! Invariants:
//! - Every request is answered: a handler that panics is a 500, a method that a route does not take is a 405, and each is a
//!   problem document.
//! - Two encodings of one state never share a strong entity tag (RFC 9110, 8.8.3).
//! - Streams are not compressed, because an encoder would hold back what the reader waits for.

use std::{
    convert::Infallible,
    future::ready,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
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
use tracing::Instrument;

use super::{
    app::App,
    cors,
    extractors::TraceContext,
    format::Format,
    guard,
    metrics::RequestMetrics,
    problem::Problem,
    request_body::content_length,
    request_head,
    request_id::{REQUEST_ID, request_id},
    request_limits::RequestLimits,
    response_memory::ResponseMemory,
};
use crate::telemetry::{answered, continue_from};

/// Answers shorter than this are not compressed: they fit into one packet anyway.
const COMPRESSED_BYTES_MIN: u64 = 1 << 10;
/// Headers that are sent unless a handler sets them.
const DEFAULTS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The router, and what is done for every request.
#[derive(Clone)]
pub(super) struct HttpService {
    routes: Router,
    metrics: Option<Arc<RequestMetrics>>,
    memory: Arc<ResponseMemory>,
    /// `None` if no CORS headers are sent.
    cors: Option<Arc<CorsLayer>>,
}

impl HttpService {
    /// A service for these routes, with or without metrics.
    pub(super) fn of(routes: Router, metrics: Option<RequestMetrics>, limits: RequestLimits) -> Self {
        let memory = Arc::new(ResponseMemory::new(limits.answers_bytes_max));
        Self { routes, metrics: metrics.map(Arc::new), memory, cors: None }
    }

    /// The same with CORS.
    pub(super) fn with_cors(self, cors: CorsLayer) -> Self {
        Self { cors: Some(Arc::new(cors)), ..self }
    }

    /// Answers one request.
    pub(super) async fn answer(self, mut request: Request) -> Response {
        let began = Instant::now();
        let id = request_id(request.headers());
        let shown = id.to_str().unwrap_or_default();
        let (method, path) = (request.method(), request.uri().path());
        let span = tracing::info_span!("request", request_id = shown, %method, path);
        let trace = TraceContext::of(request.headers());
        continue_from(&span, trace.0);
        let encoding = choose_encoding(request.headers());
        let is_head = request.method() == Method::HEAD;
        let asked_tags = request.headers().get(header::IF_NONE_MATCH).cloned();
        request.extensions_mut().insert(trace);
        let (mut routes, cors) = (self.routes, self.cors);
        let answering = async move {
            match (request_head::check(&request), cors) {
                (Err(problem), _) => problem.into_response(),
                // Before the guard: browsers send preflights without a token.
                (Ok(()), Some(layer)) => cors::answer(&layer, routes, request).await,
                (Ok(()), None) => routes.call(request).await.unwrap_or_else(|never| match never {}),
            }
        };
        let response = answering.instrument(span.clone()).await;
        answered(&span, response.status().as_u16());
        if let Some(metrics) = &self.metrics {
            metrics.answered(&response, began.elapsed());
        }
        let response = self.memory.count(response).await;
        let mut response = compressed(response, encoding, is_head).await;
        weaken_tag(&mut response, encoding, asked_tags.as_ref());
        mark(response.headers_mut(), id);
        response
    }
}

impl HttpService {
    /// Completes an answer that no route gave.
    pub(super) fn finished(&self, mut response: Response) -> Response {
        if let Some(metrics) = &self.metrics {
            metrics.answered(&response, Duration::ZERO);
        }
        mark(response.headers_mut(), request_id(&HeaderMap::new()));
        response
    }
}

/// Stands around each route: turns panics and wrong methods into problem documents, and marks the answer with its route.
pub(super) async fn of_route(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answered = AssertUnwindSafe(guard::guard(&app, request, next)).catch_unwind().await;
    let response = answered.unwrap_or_else(|_panic| {
        tracing::error!("the handler of this request panicked");
        Problem::internal().into_response()
    });
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

/// A whole HTTP/1.1 answer, to a request that the parser could not read.
pub(super) fn alone(problem: Problem) -> Vec<u8> {
    let body = Format::Json.encode(&problem);
    let mut response = problem.into_response();
    mark(response.headers_mut(), request_id(&HeaderMap::new()));
    let mut bytes =
        format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", response.status(), body.len()).into_bytes();
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// Adds the headers that every answer has.
fn mark(headers: &mut HeaderMap, id: HeaderValue) {
    headers.reserve(DEFAULTS.len() + 1);
    if is_page(headers) {
        // The handler of a page sets what the page may load.
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
    }
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(value);
    }
    headers.insert(REQUEST_ID, id);
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

fn essence(headers: &HeaderMap) -> &str {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

fn is_page(headers: &HeaderMap) -> bool {
    essence(headers) == "text/html"
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

/// The one encoding in `Accept-Encoding` that is to be used, or none: an answer is never 406, since what was
/// asked for has been done by then.
pub(super) fn choose_encoding(headers: &HeaderMap) -> Option<&'static str> {
    let mut best: (f32, Option<&'static str>) = (0.0, None);
    for value in headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for offer in value.split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let encoding = match parts.next().unwrap_or_default() {
                name if name.eq_ignore_ascii_case("br") => "br",
                name if name.eq_ignore_ascii_case("gzip") => "gzip",
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if quality > best.0 || (quality == best.0 && quality > 0.0 && encoding == "br") {
                best = (quality, Some(encoding));
            }
        }
    }
    best.1
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
        http::{RequestLimits, SocketConfig},
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
