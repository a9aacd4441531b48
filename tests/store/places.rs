//! Where the stores of the suites are: on a Redis, or on the disk.

use std::{path::Path, sync::Arc, time::Duration};

use dao_api::store::{
    EventStore, ProjectionStore,
    embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
    redis::{RedisConfig, RedisStore},
};

use crate::support::redis::RedisServer;

const OPERATION_TTL: Duration = Duration::from_secs(3_600);

/// Somewhere a store keeps what it was given.
#[allow(async_fn_in_trait, reason = "only these tests implement and call it")]
pub(crate) trait Place {
    type Store: EventStore + ProjectionStore;
    /// With nothing in it.
    async fn empty() -> Self;
    /// One process's handle.
    fn store(&self) -> Arc<Self::Store>;
    /// Another process's, as far from the first as the store allows.
    fn other_store(&self) -> Arc<Self::Store>;
    /// Ends every process and starts again on what is there.
    async fn reopen(&mut self);
}

pub(crate) struct OnRedis {
    server: RedisServer,
    stores: [Arc<RedisStore>; 2],
}

impl OnRedis {
    async fn connect(server: &RedisServer) -> [Arc<RedisStore>; 2] {
        let connect = async || {
            // Two partitions: of three graphs, two share one, and of many, not all do.
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

pub(crate) struct OnDisk {
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

macro_rules! on_a_store {
    ($store:ident, $place:ident, $($rule:ident)*) => {
        mod $store {
            use crate::places::{Place as _, $place};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    super::rules::$rule($place::empty().await).await;
                }
            )*
        }
    };
}

/// Runs every rule of the module `rules` on every place, each in a new one.
macro_rules! on_every_store {
    ($($rule:ident)*) => {
        on_a_store!(redis, OnRedis, $($rule)*);
        on_a_store!(embedded, OnDisk, $($rule)*);
    };
}
