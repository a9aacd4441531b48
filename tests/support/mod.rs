//! What several test binaries need.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod history;
pub(crate) mod redis;
