//! `/console/`: the web console (rule H12). Its files are in this program and contain no data, so they need no token; every
//! call of the interface that the page makes does.
//!
//! Not here: the files ([`dao_console`]), and whether there is a console (`CONSOLE`, [`super::router`]).

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use dao_console::Asset;

use super::{content_encoding::choose_encoding, problem::Problem};

/// What the page may load and do: its own files, and calls of this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
/// Everything that a page can ask the user for.
const NO_PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
/// A file's address changes with its content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Slashes in the address of the root, `/console/`.
const ROOT_DEPTH: usize = 2;
/// Levels below the root that an address of the page has at most.
const DEPTH_MAX: usize = 8;
/// Where files are, below the root of the console.
const ASSETS: &str = "assets/";

/// `/console`: its files are found from `/console/`.
pub(super) async fn root() -> Response {
    // Relative, for servers behind a prefix.
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "console/")]).into_response()
}

/// The page, at the root.
pub(super) async fn page() -> Response {
    page_at(0)
}

/// A file, or the page: every address in the console is one of the page's.
pub(super) async fn page_or_file(
    uri: Uri,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(file) = path.strip_prefix(ASSETS) else {
        // As a browser counts: an encoded slash is part of a name.
        let depth = uri.path().matches('/').count().saturating_sub(ROOT_DEPTH);
        return match depth {
            0..=DEPTH_MAX => Ok(page_at(depth)),
            _ => Err(Problem::not_found("the console has no such address")),
        };
    };
    let found = file.split_once('/').filter(|(version, _)| *version == dao_console::version());
    let asset = found.and_then(|(_, name)| dao_console::asset(name));
    let asset = asset.ok_or_else(|| Problem::not_found("the console has no such file; reload the page"))?;
    Ok(file_of(asset, &headers))
}

fn page_at(depth: usize) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (PERMISSIONS_POLICY, NO_PERMISSIONS),
    ];
    (headers, Html(dao_console::page(depth))).into_response()
}

fn file_of(asset: Asset, headers: &HeaderMap) -> Response {
    let (bytes, encoding) = match asset.brotli {
        Some(brotli) if choose_encoding(headers) == Some("br") => (brotli, Some("br")),
        _ => (asset.bytes, None),
    };
    let names = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::VARY, "accept-encoding"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ];
    let mut response = (names, bytes).into_response();
    if let Some(encoding) = encoding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}
