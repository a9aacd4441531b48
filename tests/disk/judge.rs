//! What has to hold of the files that a power cut has left.

use std::path::Path;

use bytes::Bytes;
use dao_api::store::{
    self, Entry, EventStore, FeedPlace, ProjectionStore, StoredCommit, embedded::EmbeddedStore,
};
use dao_projections::{GraphId, Head, OperationId, Version};
use uuid::Uuid;

use crate::{
    told::{Append, Told, ToldOfGraph},
    workload,
};

/// Opens the store in `dir`, and compares it with what was told; `twice`: also after it was closed again. True if it has
/// something whose answer nobody had got.
pub(crate) fn judge(dir: &Path, told: &Told, twice: bool) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(async {
        let store =
            EmbeddedStore::open(workload::config(dir)).map_err(|e| format!("it does not open: {e}"))?;
        let found = judge_store(&store, told).await?;
        go_on(&store).await?;
        store.close().await;
        if !twice {
            return Ok(found);
        }
        let store =
            EmbeddedStore::open(workload::config(dir)).map_err(|e| format!("it does not open again: {e}"))?;
        judge_store(&store, told).await?;
        Ok(found)
    })
}

/// The store works: it takes a commit.
async fn go_on(store: &EmbeddedStore) -> Result<(), String> {
    let (graph, body) = (GraphId::parse("after").map_err(|e| e.to_string())?, Bytes::from_static(b"after"));
    let head = Head::EMPTY.after(&body);
    let commit = Some(StoredCommit { version: head.version, hash: head.hash, body });
    let operation = OperationId::from(Uuid::nil());
    let entry = Entry { operation, record: Bytes::new(), commit, refused_at: None };
    match store.append(&graph, Head::EMPTY, &[entry]).await {
        Ok(store::Append::Appended) => Ok(()),
        other => Err(format!("it takes nothing more: {other:?}")),
    }
}

async fn judge_store(store: &EmbeddedStore, told: &Told) -> Result<bool, String> {
    let mut has_more = false;
    for (name, of_graph) in &told.graphs {
        has_more |= judge_graph(store, name, of_graph).await.map_err(|wrong| format!("{name}: {wrong}"))?;
    }
    judge_feed(store, told).await?;
    let found = store.document("kind", "name").await.map_err(|e| e.to_string())?;
    let found = found.map(|(_, bytes)| String::from_utf8_lossy(&bytes).parse::<u64>().unwrap_or(0));
    if !told.documents.contains(&found) && !told.documents.is_empty() {
        return Err(format!("the document is {found:?}; it may be {:?}", told.documents));
    }
    Ok(has_more)
}

async fn history(store: &EmbeddedStore, graph: &GraphId) -> Result<Vec<StoredCommit>, String> {
    let last = Version::new(1 << 30).unwrap_or_default();
    let mut all: Vec<StoredCommit> = Vec::new();
    loop {
        let after = all.last().map_or(Version::EMPTY, |commit| commit.version);
        let more = store.read(graph, after, last, 1_000).await.map_err(|e| e.to_string())?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

/// All that was acknowledged, what is open wholly or not at all, and nothing else.
async fn judge_graph(store: &EmbeddedStore, name: &str, told: &ToldOfGraph) -> Result<bool, String> {
    let graph = GraphId::parse(name).map_err(|e| e.to_string())?;
    let found = history(store, &graph).await?;
    let head = store.head(&graph).await.map_err(|e| e.to_string())?;
    if told.is_purge_asked && found.is_empty() {
        let gone = store.gone(&graph).await.map_err(|e| e.to_string())?;
        return match gone {
            Some(_) if head == Head::EMPTY => Ok(!told.is_purged),
            _ => Err(format!("nothing is there, and nothing says that it was purged: {head:?}, {gone:?}")),
        };
    }
    if told.is_purged {
        return Err(format!("it was purged, and {} commits are there", found.len()));
    }
    let acknowledged: Vec<String> = told.acknowledged.iter().flat_map(Append::bodies).collect();
    let open: Vec<String> = told.open.iter().flat_map(Append::bodies).collect();
    let more = found.len().checked_sub(acknowledged.len()).ok_or_else(|| {
        format!("{} commits were acknowledged, {} are there", acknowledged.len(), found.len())
    })?;
    if more != 0 && more != open.len() {
        return Err(format!(
            "{more} commits are there beyond those acknowledged, {} were asked for",
            open.len()
        ));
    }
    let mut chain = Head::EMPTY;
    for (commit, expected) in found.iter().zip(acknowledged.iter().chain(&open)) {
        chain = chain.after(&commit.body);
        if commit.body != expected.as_bytes() || commit.head() != chain {
            return Err(format!("commit {} is another one", commit.version));
        }
    }
    if head != chain {
        return Err(format!("its head is {head:?}, and its last commit {chain:?}"));
    }
    judge_operations(store, &graph, told, more > 0).await?;
    Ok(more > 0)
}

/// The operations are known of those commits that are there.
async fn judge_operations(
    store: &EmbeddedStore,
    graph: &GraphId,
    told: &ToldOfGraph,
    has_open: bool,
) -> Result<(), String> {
    let open = told.open.iter().map(|append| (append, has_open));
    for (append, is_there) in told.acknowledged.iter().map(|append| (append, true)).chain(open) {
        let ids: Vec<OperationId> = (0..append.count).map(|n| append.operation(n)).collect();
        let records = store.operations(graph, &ids).await.map_err(|e| e.to_string())?;
        if records.iter().any(|record| record.is_some() != is_there) {
            return Err(format!(
                "of {}, whose commits are there: {is_there}, records: {records:?}",
                append.words()
            ));
        }
    }
    Ok(())
}

/// The feed tells of every commit once, in order, and no reader is beyond its end.
async fn judge_feed(store: &EmbeddedStore, told: &Told) -> Result<(), String> {
    let feed = store.feed(0, FeedPlace::START, 1_000_000).await.map_err(|e| e.to_string())?;
    if feed.windows(2).any(|pair| pair[0].place >= pair[1].place) {
        return Err("places of the feed are out of order".to_owned());
    }
    let place = store.place("reader", 0).await.map_err(|e| e.to_string())?;
    if place > feed.last().map_or(FeedPlace::START, |entry| entry.place) {
        return Err(format!("a reader is at {place:?}, beyond the end of the feed"));
    }
    for (name, of_graph) in told.graphs.iter().filter(|(_, of_graph)| !of_graph.is_purge_asked) {
        let graph = GraphId::parse(name).map_err(|e| e.to_string())?;
        let mut next = Version::EMPTY.next();
        for entry in feed.iter().filter(|entry| entry.graph == graph) {
            if entry.from != next {
                return Err(format!("{name}: the feed has {} where {next} should follow", entry.from));
            }
            next = entry.to.next();
        }
        let head = store.head(&graph).await.map_err(|e| e.to_string())?;
        if head.version.next() != next {
            return Err(format!(
                "{name} is at {}, and the feed before {next}; told: {of_graph:?}",
                head.version
            ));
        }
    }
    Ok(())
}
