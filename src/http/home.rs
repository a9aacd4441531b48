//! `GET /`: what this is and where to go; a page for browsers, the same as JSON for programs (rule H8).
//!
//! It says nothing of this server that is not in its documentation, so it needs no token.

use std::sync::LazyLock;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    accept_header::{Offer, preferred},
    app::{App, ConsoleRoute, DocsAccess},
    format::{Format, respond},
};
use crate::auth::Auth;

/// What this server is, and where to go.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Home {
    name: &'static str,
    description: &'static str,
    /// How callers say who they are: a JSON Web Token in `Authorization: Bearer`, or `X-User-Id` where no keys are
    /// configured.
    authentication: Authentication,
    /// Where to read about the interface and try it; left out with `DOCS=off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    docs: Option<&'static str>,
    /// The interface as an OpenAPI document; left out with `DOCS=off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    openapi: Option<&'static str>,
    /// Where to look at graphs in a browser; left out with `CONSOLE=off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    console: Option<&'static str>,
    /// Whether the process answers.
    health: &'static str,
    /// Whether it can serve.
    readiness: &'static str,
    /// Where editors connect, by WebSocket.
    socket: &'static str,
}

/// How callers say who they are.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Authentication {
    Bearer,
    XUserId,
}

/// How the answer is written.
#[derive(Clone, Copy)]
enum Representation {
    Encoded(Format),
    Page,
}

/// Get the name of this server and where to find its documentation.
pub(super) async fn home(State(app): State<App>, headers: HeaderMap) -> Response {
    let mut response = match form(&headers) {
        Representation::Encoded(format) => respond(StatusCode::OK, format, &Home::of(&app)),
        Representation::Page => {
            let policy = [(header::CONTENT_SECURITY_POLICY, PAGE_POLICY.clone())];
            (policy, Html(page(&app))).into_response()
        }
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// A page for those who ask for one by name, as browsers do.
fn form(headers: &HeaderMap) -> Representation {
    let json = |name: &str| matches!(name, "application/json" | "text/json");
    let html = |name: &str| matches!(name, "text/html" | "application/xhtml+xml");
    // Of what is liked the same, the first: a program that takes anything gets JSON.
    let offers = [
        Offer { answer: Representation::Encoded(Format::Json), top_level: "application", is_meant_by: json },
        Offer { answer: Representation::Page, top_level: "text", is_meant_by: html },
        Offer {
            answer: Representation::Encoded(Format::MessagePack),
            top_level: "application",
            is_meant_by: Format::is_message_pack,
        },
    ];
    preferred(headers, &offers).unwrap_or(Representation::Encoded(Format::Json))
}

const DESCRIPTION: &str = "A backend for graph editors. It keeps every change as an event, lets several people edit \
                           one graph at once, and loses nothing that it acknowledged.";

fn has_console(app: &App) -> bool {
    cfg!(feature = "console") && app.console == ConsoleRoute::On
}

impl Home {
    fn of(app: &App) -> Self {
        let shown = |path| (app.docs != DocsAccess::Off).then_some(path);
        Self {
            name: "dao-api",
            description: DESCRIPTION,
            authentication: match app.auth {
                Auth::Off => Authentication::XUserId,
                Auth::Keys(_) => Authentication::Bearer,
            },
            docs: shown("/docs"),
            openapi: shown("/openapi.json"),
            console: has_console(app).then_some("/console/"),
            health: "/healthz",
            readiness: "/readyz",
            socket: "/ws",
        }
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;\
                     color-scheme:light dark}code{font-size:.95em}dt{margin-top:.8rem}dd{margin:0}";

/// The page loads nothing: its one style stands in it, and is named here by its hash.
static PAGE_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'");
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Links are relative: a proxy may put this server below a path.
fn page(app: &App) -> String {
    let docs = match app.docs {
        DocsAccess::Off => "",
        DocsAccess::Public | DocsAccess::Private => {
            "<dt><a href=\"docs\">docs</a></dt><dd>Every route, to read and to try.</dd>\
             <dt><a href=\"openapi.json\">openapi.json</a></dt><dd>The same as an OpenAPI 3.1 document, for \
             programs that make clients.</dd>"
        }
    };
    let console = match has_console(app) {
        true => {
            "<dt><a href=\"console/\">console</a></dt><dd>Graphs, their history, and who did what, to look at.</dd>"
        }
        false => "",
    };
    let who = match app.auth {
        Auth::Off => "No keys are configured: say who you are in the header <code>X-User-Id</code>.",
        Auth::Keys(_) => "Keys are configured: send a token, <code>Authorization: Bearer …</code>.",
    };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>dao-api</title><style>{STYLE}</style>\
         <h1>dao-api</h1><p>{DESCRIPTION}</p><p>This is the interface for programs; the editor is a page of your own. \
         {who}</p><dl>{console}{docs}\
         <dt><a href=\"healthz\">healthz</a></dt><dd>Whether the server is alive.</dd>\
         <dt><a href=\"readyz\">readyz</a></dt><dd>Whether it can serve, and if not, why.</dd>\
         <dt><code>ws</code></dt><dd>Where editors connect, by WebSocket.</dd></dl>\
         <p>A first tour is in <code>README.md</code>, the rules that clients can rely on are in \
         <code>docs/protocol.md</code>, and <code>docs/react-flow.md</code> says how to store a React Flow editor's \
         graph here.</p></html>"
    )
}
