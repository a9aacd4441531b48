//! What every store promises to the read side: one suite, run on each adapter.

use std::{path::Path, sync::Arc, time::Duration};

use dao_api::store::{
    EventStore, ProjectionStore,
    embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
    redis::{RedisConfig, RedisStore},
};

use crate::support::redis::RedisServer;

const OPERATION_TTL: Duration = Duration::from_secs(3_600);

/// Somewhere a store keeps what the read side needs.
#[allow(async_fn_in_trait, reason = "only these tests implement and call it")]
trait Place {
    type Store: EventStore + ProjectionStore;
    /// With nothing in it.
    async fn empty() -> Self;
    fn store(&self) -> Arc<Self::Store>;
    /// Another process's handle, as far from the first as the store allows.
    fn other_store(&self) -> Arc<Self::Store>;
    /// Ends every process and starts again on what is there.
    async fn reopen(&mut self);
}

struct OnRedis {
    server: RedisServer,
    stores: [Arc<RedisStore>; 2],
}

impl OnRedis {
    async fn connect(server: &RedisServer) -> [Arc<RedisStore>; 2] {
        let connect = async || {
            let config = RedisConfig { partitions: Some(2), ..RedisConfig::at(server.url(), OPERATION_TTL) };
            Arc::new(RedisStore::connect(config).await.expect("connect"))
        };
        [connect().await, connect().await]
    }
}

impl Place for OnRedis {
    type Store = RedisStore;

    async fn empty() -> Self {
        let server = RedisServer::start();
        let stores = Self::connect(&server).await;
        Self { server, stores }
    }

    fn store(&self) -> Arc<RedisStore> {
        self.stores[0].clone()
    }

    fn other_store(&self) -> Arc<RedisStore> {
        self.stores[1].clone()
    }

    async fn reopen(&mut self) {
        for store in &self.stores {
            store.close().await;
        }
        self.server.restart();
        self.stores = Self::connect(&self.server).await;
    }
}

struct OnDisk {
    dir: tempfile::TempDir,
    /// One handle for all: a second process is refused.
    store: Option<Arc<EmbeddedStore>>,
}

impl OnDisk {
    fn open(dir: &Path) -> Option<Arc<EmbeddedStore>> {
        let config =
            EmbeddedConfig { dir: dir.to_owned(), durability: SyncMode::Fsync, operation_ttl: OPERATION_TTL };
        Some(Arc::new(EmbeddedStore::open(config).expect("open")))
    }
}

impl Place for OnDisk {
    type Store = EmbeddedStore;

    async fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Self::open(dir.path());
        Self { dir, store }
    }

    fn store(&self) -> Arc<EmbeddedStore> {
        self.store.clone().expect("open")
    }

    fn other_store(&self) -> Arc<EmbeddedStore> {
        self.store()
    }

    async fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        self.store = Self::open(self.dir.path());
    }
}

macro_rules! contract {
    ($store:ident, $place:ty, $($rule:ident)*) => {
        mod $store {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    super::rules::$rule(<$place>::empty().await).await;
                }
            )*
        }
    };
}

/// Runs every rule on every place, each in a new one.
macro_rules! on_every_store {
    ($($rule:ident)*) => {
        contract!(redis, OnRedis, $($rule)*);
        contract!(embedded, OnDisk, $($rule)*);
    };
}

on_every_store! {
    an_empty_feed_has_no_entries_and_no_bounds
    every_append_with_commits_has_one_entry_in_its_graphs_part_in_order
    the_feed_is_read_in_chunks_that_continue_each_other
    what_is_trimmed_is_gone_and_the_rest_stays
    after_everything_was_trimmed_later_places_are_later
    trimming_back_changes_nothing
    readers_have_places_of_their_own
    a_lease_belongs_to_one_worker_until_it_lets_go
    rows_of_a_graph_that_was_never_projected_are_none
    rows_and_their_head_change_together
    rows_change_only_from_the_exact_version_hash_and_format
    rows_are_replaced_removed_and_kept
    projections_and_graphs_have_nothing_to_do_with_each_other
    thousands_of_rows_change_at_once
    keys_and_rows_are_any_text_and_any_bytes
    writers_that_race_change_rows_one_after_the_other
    all_rows_are_of_one_moment
    l2_graphs_are_listed_by_each_key_in_both_directions_and_in_pieces
    l2_a_graph_that_changes_moves_in_its_lists
    graphs_are_parked_with_a_reason_and_released
    documents_change_only_from_what_the_writer_saw
    documents_of_a_kind_are_listed_by_name
    a_change_of_a_document_is_never_taken_for_another
    writers_that_race_change_a_document_one_after_the_other
    everything_is_there_after_a_restart
}

mod rules;
