//! What is refused for being too much, and how politely (rule O3): budgets, bodies, connections, time.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod support;

#[path = "limits/answers.rs"]
mod answers;
#[path = "limits/connections.rs"]
mod connections;
#[path = "limits/rates.rs"]
mod rates;
#[path = "limits/requests.rs"]
mod requests;
