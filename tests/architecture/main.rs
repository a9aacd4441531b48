//! What the source keeps to, read from the source: no server, no store, nothing of the library.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod arrows;
mod circles;
mod dependencies;
mod file_names;
mod page;
mod rust_tokens;
mod sizes;
