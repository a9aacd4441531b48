//! The OpenAPI document (3.1): `GET /openapi.json` (rule H9).
//!
//! It is made from the table of routes ([`super::routes`]) and from the schemas in [`super::openapi`]. Three tests hold it
//! against the rest: every route of the router is in it and none else, real answers fit its schemas, and
//! `docs/protocol.md` names the same routes.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use axum::{
    http::{Method, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Api, RefOr,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    access::Access,
    format::Format,
    openapi::{problems, socket_frames},
    routes::{self, Paths},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dao-api",
        description = "An event-sourced backend for graph editors: no lost work, every change attributed, every \
            version replayable. docs/protocol.md has the rules behind this document, under the ids used here.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(socket_frames::ClientFrame, socket_frames::ServerFrame)),
    tags(
        (name = "graphs", description = "Changing graphs and reading them (rules C, D, H)"),
        (name = "live", description = "Following what happens (rules W, S)"),
        (name = "audit", description = "Who did what, and proof (rules A)"),
        (name = "subscriptions", description = "Consumers that share the commits of all graphs (rules S5 to S8)"),
        (name = "operation", description = "For those who run it (rules O)"),
    )
)]
struct Head;

/// The document: what is said of all routes together, and each of them.
fn made() -> Api {
    let mut api = Head::openapi();
    api.merge(Paths::openapi());
    DocumentDefaults.modify(&mut api);
    api
}

/// What the annotations need not repeat on every route.
struct DocumentDefaults;

impl Modify for DocumentDefaults {
    fn modify(&self, api: &mut Api) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
            "Where keys are configured (JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS). Without them `X-User-Id` says who \
             asks, and the server listens on loopback only.",
        ));
        let components = api.components.get_or_insert_default();
        components.schemas.extend(problems::schemas());
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        for (path, item) in &mut api.paths.paths {
            let is_open = matches!(routes::access(&Method::GET, path), Access::Public | Access::Docs);
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                if !is_open {
                    let needs = SecurityRequirement::new::<_, _, String>("bearer", []);
                    // Or nothing: without keys.
                    operation.security = Some(vec![needs, Default::default()]);
                    operation.parameters.get_or_insert_default().push(RefOr::T(user_header()));
                }
                also_message_pack(operation);
            }
        }
    }
}

/// The header that names the user, without keys (rule O2).
fn user_header() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String);
    ParameterBuilder::new()
        .name("X-User-Id")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The user who asks, where no keys are configured: 1 to 256 bytes; `anonymous` by default. Ignored where \
             keys are, and by routes that don't ask who you are.",
        ))
        .schema(Some(text))
        .build()
}

/// MessagePack is accepted and sent wherever JSON is, with the same fields.
fn also_message_pack(operation: &mut Operation) {
    const JSON: &str = "application/json";
    const MESSAGE_PACK: &str = "application/msgpack";
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(json) = body.content.get(JSON).cloned()
    {
        body.content.insert(MESSAGE_PACK.to_owned(), json);
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && let Some(json) = response.content.get(JSON).cloned()
        {
            response.content.insert(MESSAGE_PACK.to_owned(), json);
        }
    }
}

/// The query parameters of the route with this template; `None` where the document has no such route.
pub(super) fn query_parameters(method: &Method, template: &str) -> Option<&'static [String]> {
    type Known = HashMap<String, [Option<Vec<String>>; 4]>;
    static KNOWN: LazyLock<Known> = LazyLock::new(|| {
        let paths = made().paths.paths.into_iter();
        let known = paths.map(|(path, item)| {
            let operations = [item.get, item.post, item.put, item.delete];
            (path, operations.map(|operation| operation.map(in_query)))
        });
        known.collect()
    });
    let [get, post, put, delete] = KNOWN.get(template)?;
    let names = match *method {
        Method::GET | Method::HEAD => get,
        Method::POST => post,
        Method::PUT => put,
        Method::DELETE => delete,
        _ => &None,
    };
    names.as_deref()
}

fn in_query(operation: Operation) -> Vec<String> {
    let parameters = operation.parameters.into_iter().flatten();
    let asked = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query) => Some(parameter.name),
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    asked.collect()
}

/// Get this OpenAPI document.
pub(super) async fn document() -> Response {
    static ENCODED: OnceLock<Bytes> = OnceLock::new();
    let encoded = ENCODED.get_or_init(|| Format::Json.encode(&made()).into());
    ([(header::CONTENT_TYPE, "application/json")], encoded.clone()).into_response()
}
