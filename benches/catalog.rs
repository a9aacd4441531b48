//! `cargo bench --bench catalog`: pages of `GET /graphs` over 100,000 graphs, by last change, with rights that cover a tenth
//! of them, on both stores. The bounds are 30 ms embedded and 60 ms over Redis.
//!
//! Measured is what the server does for a page but for HTTP: the places, the rows that may be read, how far the list is
//! behind. `CATALOG_GRAPHS` makes it another number of graphs.

use std::{
    env,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dao_api::{
    read::{CatalogFilter, CatalogPage, ListOrder, ListSort, catalog},
    store::{
        Append, Entry, EventStore, Listing, ProjectionStore, RowsChange, RowsHead, StoredCommit,
        embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
        redis::{RedisConfig, RedisStore},
    },
};
use dao_projections::{
    Attributes, Catalog, CatalogRow, GraphId, Head, Labels, Map, MergePatch, OperationId, Projection,
    Timestamp, UserId,
};
use futures::{StreamExt, stream};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const OPERATION_TTL: Duration = Duration::from_secs(3_600);
/// Graphs that are made at the same time.
const AT_ONCE: usize = 256;
/// Graphs on a page, as by default.
const LIMIT: usize = 50;
/// Pages that are measured, one after the other as somebody who pages.
const PAGES: usize = 100;

#[tokio::main]
async fn main() -> Outcome<()> {
    let count = env::var("CATALOG_GRAPHS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let config = EmbeddedConfig {
        dir: dir.path().join("data"),
        durability: SyncMode::Interval,
        operation_ttl: OPERATION_TTL,
    };
    let store = Arc::new(EmbeddedStore::open(config)?);
    measure("embedded", &store, count, 30.0).await?;
    store.close().await;
    let Ok(redis) = Redis::start(dir.path()) else {
        println!("redis-server is not installed: Redis is not measured");
        return Ok(());
    };
    let config = RedisConfig::at(format!("redis://127.0.0.1:{}", redis.port), OPERATION_TTL);
    let store = Arc::new(RedisStore::connect(config).await?);
    measure("Redis", &store, count, 60.0).await?;
    store.close().await;
    Ok(())
}

async fn measure<S: EventStore + ProjectionStore>(
    name: &str,
    store: &Arc<S>,
    count: usize,
    bound_ms: f64,
) -> Outcome<()> {
    let began = Instant::now();
    let mut making = stream::iter((0..count).map(|n| make(store.clone(), n))).buffer_unordered(AT_ONCE);
    while let Some(made) = making.next().await {
        made?;
    }
    drop(making);
    println!("{name}: {count} graphs made in {:.0} s", began.elapsed().as_secs_f64());
    let may_read = |graph: &GraphId| graph.as_str().starts_with("team-3.");
    let tenth = || vec!["team-3.".to_owned()];
    let text = CatalogFilter { text: Some("title 7".to_owned()), ..CatalogFilter::default() };
    for (what, sort, prefixes, filter) in [
        ("by last change, rights to a tenth", ListSort::Updated, tenth(), CatalogFilter::default()),
        ("by title, rights to a tenth", ListSort::Title, tenth(), CatalogFilter::default()),
        ("by id, rights to a tenth", ListSort::Id, tenth(), CatalogFilter::default()),
        ("by last change, all, with a text", ListSort::Updated, vec![String::new()], text),
    ] {
        let (mut times, mut after, mut graphs) = (vec![], None, 0);
        for _ in 0..PAGES {
            let page = CatalogPage {
                sort,
                order: ListOrder::Descending,
                prefixes: prefixes.clone(),
                after,
                limit: LIMIT,
            };
            let began = Instant::now();
            let is_all = prefixes[0].is_empty();
            let found = catalog(&**store, "projector", Timestamp(0), &page, &filter, |graph| {
                is_all || may_read(graph)
            });
            let found = found.await?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
            graphs += found.graphs.len();
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        if graphs == 0 {
            return Err(format!("{what}: nothing was found").into());
        }
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        let reached = if worst <= bound_ms { "yes" } else { "NO" };
        println!(
            "{name}, {what}: median {median:.1} ms, worst {worst:.1} ms of {} pages, {graphs} graphs; at most {bound_ms} ms: {reached}",
            times.len()
        );
    }
    Ok(())
}

/// A graph with one commit and its row in the list.
async fn make<S: EventStore + ProjectionStore>(store: Arc<S>, n: usize) -> Outcome<()> {
    let graph = GraphId::parse(&format!("team-{}.flow-{n}", n % 10))?;
    let body = Bytes::from(format!("the body of {graph}"));
    let head = Head::EMPTY.after(&body);
    let commit = Some(StoredCommit { version: head.version, hash: head.hash, body });
    let operation = OperationId::from(uuid::Uuid::from_u128(n as u128));
    let entry = Entry { operation, record: Bytes::from_static(b"record"), commit, refused_at: None };
    let appended = store.append(&graph, Head::EMPTY, &[entry]).await?;
    if appended != Append::Appended {
        return Err(format!("{graph}: {appended:?}").into());
    }
    let row = row(head, n)?;
    let (to, bytes) = (RowsHead { head, format: Catalog::FORMAT }, Bytes::from(Catalog::encode(&row)));
    let listing = Some(Listing { keys: row.list_keys(), purge_after_ms: None, row: bytes.clone() });
    let rows = vec![(Catalog::KEY.to_owned(), Some(bytes))];
    let change = RowsChange { from: None, to, replaces: true, rows, listing };
    match store.change_rows(&graph, Catalog::NAME, change).await? {
        true => Ok(()),
        false => Err(format!("{graph}: its row was refused").into()),
    }
}

/// Updated in an order that has nothing to do with the names.
fn row(head: Head, n: usize) -> Outcome<CatalogRow> {
    let mut fields = Map::new();
    fields.insert("title".to_owned(), format!("Title {}", n.wrapping_mul(7_919) % 100_003).into());
    fields.insert("description".to_owned(), "What this graph is about, in a sentence or two".into());
    fields.insert("tags".to_owned(), vec!["billing", "draft"].into());
    let user = UserId::parse("ada")?;
    let at = Timestamp(1_763_800_000_000 + (n as u64).wrapping_mul(104_729) % 100_000_007);
    Ok(CatalogRow {
        version: head.version,
        hash: head.hash,
        contents_version: head.version,
        created_at: Timestamp(1_763_800_000_000),
        created_by: user.clone(),
        updated_at: at,
        updated_by: user,
        nodes: 12,
        edges: 14,
        attributes: Attributes::default().patched(&MergePatch::new(fields)),
        labels: Labels::default(),
        origin: None,
        trashed: None,
    })
}

/// A private Redis.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(dir: &std::path::Path) -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(dir)
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .stdout(Stdio::null())
            .spawn()?;
        let redis = Self { child, port };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(redis);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("redis-server did not start".into())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}
