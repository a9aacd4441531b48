//! The store in Redis: [`RedisStore`]. Several instances can share it.
//!
//! A graph is a stream whose entry ids are the versions, so Redis itself refuses a second commit of
//! the same number. One script does everything an append does: nobody sees half of one. Operation
//! records live in hashes by time window, which end as a whole.
//!
//! Rules that hold for every line here, because of how the client reads replies:
//! - No reply may be an array of three or four whose first element somebody else chose: the client
//!   takes `["message", …]` for a publication, drops it, and gives the next reply to the wrong
//!   caller. Scripts answer with an integer first; streams answer with arrays in an array.
//! - What is kept is copied out of a reply, or it would keep the whole reply in memory.
//!
//! Not here: what to do after a lost race or a lost answer; that is the write path's. The client
//! library is named nowhere outside this directory.

mod address;
mod catalog;
mod client_builder;
mod config;
mod connect;
mod connect_error;
mod errors;
mod feed;
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod keys;
mod layout;
mod message;
mod migrate;
mod nodes;
mod projection;
mod publication_reader;
mod purge;
mod read_side_scripts;
mod redis_store;
mod refused_operations;
mod scripts;
mod startup_checks;
mod stream;

pub use self::migrate::migrate;
pub use self::redis_store::RedisStore;
pub use self::{
    address::Mistake,
    config::{RedisConfig, TlsFiles},
    connect_error::ConnectError,
};
