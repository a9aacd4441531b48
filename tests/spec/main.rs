//! The specification of rules C, D, G and L as the domain keeps them: given a history, when a command
//! comes, then these events, or this refusal. No store, no server, no clock.

#![allow(unreachable_pub, reason = "a test is no crate that others see")]

mod batch_update;
mod commands;
mod conflicts;
mod given;
mod lifecycle;
mod properties;
