//! `GET /docs`: the document to look at and to try, by Swagger UI. Its files are in this program, and it
//! asks no other host for anything.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::Path,
    http::header,
    response::{Html, IntoResponse, Response},
};
use utoipa_swagger_ui::{Config, serve};

use super::super::problem::Problem;

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    // Relative to the page, for servers behind a prefix; `none`: no outside validator is told of it.
    Arc::new(Config::from("openapi.json").validator_url("none").try_it_out_enabled(true))
});

/// What the page may load: its own files, and what Swagger UI writes into it.
const LOADED: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Read this document and try its routes in a browser.
pub(in crate::http) async fn page() -> Result<impl IntoResponse, Problem> {
    let file = named("index.html")?;
    // The page is at `docs`, its files are below it.
    let html = String::from_utf8_lossy(&file.bytes).replace("\"./", "\"docs/");
    let html = Html(html.replace("\"index.css", "\"docs/index.css"));
    Ok(([(header::CONTENT_SECURITY_POLICY, LOADED)], html))
}

/// A file of the viewer.
pub(in crate::http) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let file = named(&name)?;
    Ok(([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response())
}

fn named(name: &str) -> Result<utoipa_swagger_ui::SwaggerFile<'static>, Problem> {
    let found = serve(name, CONFIG.clone()).ok().flatten();
    found.ok_or_else(|| Problem::not_found("the viewer has no such file"))
}
