//! `GET /whoami`: the caller as the server sees them, and what they may do (rule O7). Not here: what a route needs
//! ([`super::routes`]).

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    authentication::{Caller, VerifiedGrant},
    extractors::ResponseFormat,
    format::respond,
};
use crate::auth::Right;

/// The caller and their rights.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Whoami {
    user_id: String,
    /// When the token expires, in milliseconds since the Unix epoch; null without keys.
    #[schema(required = true)]
    expires_at: Option<u64>,
    /// Rights by glob of graph ids: `read`, `write` or `admin`. The highest match wins.
    #[schema(value_type = HashMap<String, String>)]
    access: BTreeMap<String, &'static str>,
}

/// Get the calling user and their rights.
pub(super) async fn whoami(
    Caller(user): Caller,
    VerifiedGrant(grant): VerifiedGrant,
    ResponseFormat(format): ResponseFormat,
) -> Response {
    let user_id = user.to_string();
    let whoami = match &grant {
        Some(grant) => Whoami {
            user_id,
            expires_at: Some(grant.expires_s.saturating_mul(1_000)),
            access: grant
                .rights
                .iter()
                .map(|(glob, right)| (glob.as_str().to_owned(), right.as_str()))
                .collect(),
        },
        None => {
            let access = BTreeMap::from([("*".to_owned(), Right::Admin.as_str())]);
            Whoami { user_id, expires_at: None, access }
        }
    };
    respond(StatusCode::OK, format, &whoami)
}
