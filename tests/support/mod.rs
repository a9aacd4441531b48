//! What several test binaries need.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod follower;
pub(crate) mod gate;
pub(crate) mod graph;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod load;
pub(crate) mod made_up;
pub(crate) mod openmetrics;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod sentinel;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod switch;
pub(crate) mod tls;
pub(crate) mod ws;
