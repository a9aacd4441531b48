//! Who may do what (rules O1, O2): tokens, routes, sockets, and attempts to get around them.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod command_line;
mod console;
mod documents;
mod issuers;
mod key_files;
mod origins;
mod routes;
mod sockets;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use dao_api::auth::{Auth, Keys, KeysConfig};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use support::{graph::with, http::Request, server::Server};

const SECRET: &str = "a secret of tests, and of nothing else";
const RSA: &str = include_str!("../data/keys/rsa.public.pem");
const RSA_PRIVATE: &str = include_str!("../data/keys/rsa.private.pem");
const P256: &str = include_str!("../data/keys/p256.public.pem");
const P256_PRIVATE: &str = include_str!("../data/keys/p256.private.pem");
const ED25519: &str = include_str!("../data/keys/ed25519.public.pem");
const ED25519_PRIVATE: &str = include_str!("../data/keys/ed25519.private.pem");

/// How far apart clocks may be (O1).
const LEEWAY_S: u64 = 30;

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn keys(config: KeysConfig) -> Arc<Keys> {
    Arc::new(Keys::load(config).unwrap_or_else(|wrong| panic!("{wrong:?}")))
}

fn with_secret() -> KeysConfig {
    KeysConfig { secret: Some(SECRET.to_owned()), ..KeysConfig::default() }
}

async fn guarded() -> Server {
    Server::guarded(Auth::Keys(keys(with_secret()))).await
}

/// What a good token of a user says.
fn claims(user: &str, graphs: Value) -> Value {
    json!({"sub": user, "graphs": graphs, "exp": now_s() + 600})
}

fn signed(claims: &Value) -> String {
    signed_with(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn signed_with(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).unwrap()
}

fn token(user: &str, graphs: Value) -> String {
    signed(&claims(user, graphs))
}

/// One that stops being good in so many seconds, and is good until then because clocks may be apart.
fn token_for(user: &str, graphs: Value, seconds: u64) -> String {
    signed(&with(&claims(user, graphs), json!({"exp": now_s() - LEEWAY_S + seconds})))
}

fn bearing(request: Request, token: &str) -> Request {
    request.header("authorization", format!("Bearer {token}"))
}

fn get(path: &str, token: &str) -> Request {
    bearing(Request::get(path), token)
}

fn create_node(graph: &str, id: &str) -> Request {
    let command = json!({"type": "CREATE_NODE", "payload": {"id": id}});
    Request::post(&format!("/graphs/{graph}/command"), command.to_string())
}
