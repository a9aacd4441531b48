//! The specification of rules C, D, DS, G, L and U as the domain keeps them: given a history, when a command
//! comes, then these events, or this refusal. No store, no server, no clock.

#![allow(unreachable_pub, reason = "a test is no crate that others see")]

mod batch;
mod batch_update;
mod commands;
mod conflicts;
mod copies;
mod document;
mod document_properties;
mod given;
mod lifecycle;
mod properties;
mod restore_properties;
mod undo;
mod undo_properties;
mod vectors;
mod versions;
