//! The read side's half of the store: rows, places, leases. Whatever takes effect is held against the
//! log there and then: rows are the fold of a history up to their head, and no place in the feed is
//! left behind before the rows have what stands before it.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use dao_api::store::{
    FeedBounds, FeedEntry, FeedPlace, Gone, ListPiece, ListQuery, ParkedGraph, ProjectionStore, Purge,
    PurgeRequest, Purging, RefusedEntry, RowsChange, RowsFound, RowsHead, StoreError,
};
use dao_projections::{
    Activity, Catalog, GraphId, Head, OperationId, PROJECTIONS, Projection, Snapshot, Version, graph_of_rows,
};
use tokio::time::Instant;

use crate::{
    durable::{FEED_PARTS, ReadSide, Shared, StoredRows, feed_part},
    store::SimStore,
};

#[async_trait]
impl ProjectionStore for SimStore {
    fn feed_parts(&self) -> u32 {
        FEED_PARTS
    }

    fn feed_part(&self, graph: &GraphId) -> u32 {
        feed_part(graph)
    }

    async fn feed(&self, part: u32, after: FeedPlace, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        self.ask(|shared, _| {
            let entries = &shared.read_side.feed[part as usize].entries;
            entries.iter().filter(|entry| entry.place > after).take(limit).cloned().collect()
        })
        .await
    }

    /// What was appended in the last moments may be missing.
    async fn feed_for_poll(
        &self,
        part: u32,
        after: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        self.ask(|shared, rng| {
            let entries = &shared.read_side.feed[part as usize].entries;
            let mut page: Vec<_> =
                entries.iter().filter(|entry| entry.place > after).take(limit).cloned().collect();
            if rng.chance(30) {
                page.truncate(rng.index(page.len() + 1));
            }
            page
        })
        .await
    }

    async fn feed_bounds(&self, part: u32) -> Result<FeedBounds, StoreError> {
        self.ask(|shared, _| {
            let part = &shared.read_side.feed[part as usize];
            FeedBounds { trimmed: part.trimmed, end: part.end }
        })
        .await
    }

    async fn feed_place_at(&self, part: u32, time_ms: u64) -> Result<FeedPlace, StoreError> {
        self.ask(|shared, _| {
            let entries = &shared.read_side.feed[part as usize].entries;
            let older = entries.iter().take_while(|entry| entry.at_ms < time_ms);
            older.last().map_or(FeedPlace::START, |entry| entry.place)
        })
        .await
    }

    async fn refused_place_at(&self, _part: u32, _time_ms: u64) -> Result<FeedPlace, StoreError> {
        Ok(FeedPlace::END)
    }

    async fn trim_feed(&self, part: u32, to: FeedPlace) -> Result<(), StoreError> {
        self.travel().await;
        self.effect(move |shared| {
            let part = &mut shared.read_side.feed[part as usize];
            part.entries.retain(|entry| entry.place > to);
            part.trimmed = part.trimmed.max(to);
        })
        .await
    }

    async fn place(&self, reader: &str, part: u32) -> Result<FeedPlace, StoreError> {
        let key = (reader.to_owned(), part);
        self.ask(|shared, _| shared.read_side.places.get(&key).copied().unwrap_or_default()).await
    }

    async fn set_place(&self, reader: &str, part: u32, place: FeedPlace) -> Result<(), StoreError> {
        self.travel().await;
        let key = (reader.to_owned(), part);
        self.effect(move |shared| {
            shared.read_side.places.insert(key, place);
            if let Err(problem) = check_place(shared, part, place) {
                shared.blame(problem);
            }
        })
        .await
    }

    async fn lease(&self, reader: &str, part: u32, worker: &str, time: Duration) -> Result<bool, StoreError> {
        self.travel().await;
        let (key, worker) = ((reader.to_owned(), part), worker.to_owned());
        self.effect(move |shared| {
            let (leases, now) = (&mut shared.read_side.leases, Instant::now());
            let is_free = leases.get(&key).is_none_or(|(holder, until)| *holder == worker || *until <= now);
            if is_free {
                leases.insert(key, (worker, now + time));
            }
            is_free
        })
        .await
    }

    async fn rows(
        &self,
        graph: &GraphId,
        projection: &str,
        keys: &[String],
    ) -> Result<RowsFound, StoreError> {
        let key = (graph.clone(), projection.to_owned());
        self.ask(|shared, _| match shared.read_side.rows.get(&key) {
            None => RowsFound { at: None, rows: vec![None; keys.len()] },
            Some(found) => {
                let rows = keys.iter().map(|key| found.rows.get(key).cloned()).collect();
                RowsFound { at: Some(found.at), rows }
            }
        })
        .await
    }

    async fn all_rows(
        &self,
        graph: &GraphId,
        projection: &str,
    ) -> Result<Option<(RowsHead, Vec<(String, Bytes)>)>, StoreError> {
        let key = (graph.clone(), projection.to_owned());
        self.ask(|shared, _| {
            let found = shared.read_side.rows.get(&key)?;
            Some((found.at, found.rows.clone().into_iter().collect()))
        })
        .await
    }

    async fn change_rows(
        &self,
        graph: &GraphId,
        projection: &str,
        change: RowsChange,
    ) -> Result<bool, StoreError> {
        self.travel().await;
        let key = (graph.clone(), projection.to_owned());
        self.effect(move |shared| {
            if shared.lost_races > 0 {
                shared.lost_races -= 1;
                return false;
            }
            let stored = shared.read_side.rows.remove(&key);
            if stored.as_ref().map(|stored| stored.at) != change.from {
                stored.map(|stored| shared.read_side.rows.insert(key, stored));
                return false;
            }
            let mut rows = stored.map_or_else(BTreeMap::new, |stored| stored.rows);
            if change.replaces {
                rows.clear();
            }
            for (key, row) in change.rows {
                match row {
                    Some(row) => rows.insert(key, row),
                    None => rows.remove(&key),
                };
            }
            let now = StoredRows { at: change.to, rows };
            if let Err(problem) = check_rows(shared, &key, &now, change.from) {
                let (graph, projection) = &key;
                shared.blame(format!("{projection} of {graph} at {:?}: {problem}", now.at.head));
            }
            shared.read_side.rows.insert(key, now);
            true
        })
        .await
    }

    /// Nothing in these worlds lists graphs, or what happened in all of them, and nothing purges any.
    async fn list(&self, _: &ListQuery) -> Result<ListPiece, StoreError> {
        Ok(ListPiece { places: vec![], is_end: true })
    }

    async fn list_rows(&self, graphs: &[GraphId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        Ok(vec![None; graphs.len()])
    }

    async fn feed_before(&self, _: u32, _: FeedPlace, _: usize) -> Result<Vec<FeedEntry>, StoreError> {
        Ok(vec![])
    }

    async fn refused_before(&self, _: u32, _: FeedPlace, _: usize) -> Result<Vec<RefusedEntry>, StoreError> {
        Ok(vec![])
    }

    async fn due_for_purge(&self, _: u64, _: usize, _: usize) -> Result<Vec<GraphId>, StoreError> {
        Ok(vec![])
    }

    async fn purge(&self, _: &GraphId, _: &PurgeRequest) -> Result<Purge, StoreError> {
        Ok(Purge::HeadMoved)
    }

    async fn gone(&self, _: &GraphId) -> Result<Option<Gone>, StoreError> {
        self.ask(|_, _| None).await
    }

    async fn purged_by(&self, _: &GraphId, _: OperationId) -> Result<Option<Gone>, StoreError> {
        Ok(None)
    }

    async fn purging(&self) -> Result<Vec<Purging>, StoreError> {
        Ok(vec![])
    }

    async fn is_purging(&self, _: &Purging) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn sweep(&self, _: &Purging) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Rows of a graph whose whole history was lost.
    async fn drop_rows(&self, graph: &GraphId) -> Result<(), StoreError> {
        self.travel().await;
        let graph = graph.clone();
        self.effect(move |shared| {
            let is_empty = shared.graphs.get(&graph).is_none_or(|log| log.commits.is_empty());
            if is_empty {
                shared.read_side.rows.retain(|(of, _), _| *of != graph);
                shared.read_side.checkpoints.remove(&graph);
                shared.read_side.parked.remove(&graph);
            }
        })
        .await
    }

    async fn put_checkpoint(&self, graph: &GraphId, head: Head, state: Bytes) -> Result<(), StoreError> {
        self.travel().await;
        let graph = graph.clone();
        self.effect(move |shared| {
            shared.read_side.checkpoints.entry(graph).or_default().insert(head.version, (head, state));
        })
        .await
    }

    async fn checkpoint(&self, graph: &GraphId, to: Version) -> Result<Option<(Head, Bytes)>, StoreError> {
        self.ask(|shared, _| {
            let kept = shared.read_side.checkpoints.get(graph)?;
            kept.range(..=to).next_back().map(|(_, found)| found.clone())
        })
        .await
    }

    async fn park(&self, graph: &GraphId, parked: Option<&ParkedGraph>) -> Result<(), StoreError> {
        self.travel().await;
        let (graph, parked) = (graph.clone(), parked.cloned());
        self.effect(move |shared| {
            match parked {
                Some(parked) => shared.read_side.parked.insert(graph, parked),
                None => shared.read_side.parked.remove(&graph),
            };
        })
        .await
    }

    async fn parked(&self) -> Result<Vec<(GraphId, ParkedGraph)>, StoreError> {
        self.ask(|shared, _| shared.read_side.parked.clone().into_iter().collect()).await
    }

    async fn document(&self, kind: &str, name: &str) -> Result<Option<(u64, Bytes)>, StoreError> {
        let key = (kind.to_owned(), name.to_owned());
        self.ask(|shared, _| shared.read_side.documents.get(&key).cloned()).await
    }

    async fn put_document(
        &self,
        kind: &str,
        name: &str,
        expected: Option<u64>,
        bytes: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        self.travel().await;
        let key = (kind.to_owned(), name.to_owned());
        self.effect(move |shared| {
            let ReadSide { documents, document_changes, .. } = &mut shared.read_side;
            if documents.get(&key).map(|(version, _)| *version) != expected {
                return false;
            }
            *document_changes += 1;
            match bytes {
                Some(bytes) => documents.insert(key, (*document_changes, bytes)),
                None => documents.remove(&key),
            };
            true
        })
        .await
    }

    async fn documents(&self, kind: &str) -> Result<Vec<String>, StoreError> {
        self.ask(|shared, _| {
            let of_kind = shared.read_side.documents.keys().filter(|(of, _)| of == kind);
            of_kind.map(|(_, name)| name.clone()).collect()
        })
        .await
    }
}

/// Rows are what the history up to their head adds up to; where no history was ever lost, they only
/// go forward.
fn check_rows(
    shared: &Shared,
    (graph, projection): &(GraphId, String),
    now: &StoredRows,
    from: Option<RowsHead>,
) -> Result<(), String> {
    let log = shared.graphs.get(graph).ok_or("a graph that nobody wrote to has rows")?;
    let point = log.point(now.at.head).ok_or("no history ever went through this head")?;
    if log.upheavals == 0 && from.is_some_and(|from| from.head.version > now.at.head.version) {
        return Err(format!("rows went back from {from:?}"));
    }
    match projection.as_str() {
        Snapshot::NAME => {
            let pairs = now.rows.iter().map(|(key, row)| (key.as_str(), &row[..]));
            let graph = graph_of_rows(now.at.head, pairs).map_err(|error| error.to_string())?;
            if graph != point.graph {
                return Err(format!("rows are {graph:#?},\n the fold is {:#?}", point.graph));
            }
        }
        Activity::NAME => {
            let counts = now.rows.iter().map(|(key, row)| Ok((key.clone(), Activity::decode(key, row)?)));
            let counts: Result<BTreeMap<_, _>, dao_projections::RowError> = counts.collect();
            let counts = counts.map_err(|error| error.to_string())?;
            if counts != point.activity {
                return Err(format!("rows are {counts:#?},\n the count is {:#?}", point.activity));
            }
        }
        Catalog::NAME if now.at.head == Head::EMPTY => {
            if !now.rows.is_empty() {
                return Err(format!("an empty graph has rows: {:?}", now.rows));
            }
        }
        Catalog::NAME => {
            let row = now.rows.get(Catalog::KEY).ok_or("a graph with commits has no row in the catalog")?;
            let row = Catalog::decode(Catalog::KEY, row).map_err(|error| error.to_string())?;
            let graph = &point.graph;
            let sizes = (row.nodes, row.edges) == (graph.nodes().len() as u64, graph.edges().len() as u64);
            let is_head = (row.version, row.hash) == (now.at.head.version, now.at.head.hash);
            let created = graph.created() == Some((row.created_at, &row.created_by));
            let updated =
                (graph.last_modified(), graph.last_author()) == (Some(row.updated_at), Some(&row.updated_by));
            let told =
                (&row.attributes, &row.labels) == (&graph.metadata().attributes, &graph.metadata().labels);
            if now.rows.len() != 1 || !(sizes && is_head && created && updated && told) {
                return Err(format!("the row is {row:#?},\n the fold is {graph:#?}"));
            }
        }
        other => return Err(format!("nobody checks the rows of {other}")),
    }
    Ok(())
}

/// Everything before this place is in the rows, or its graph is parked, or its history is another.
fn check_place(shared: &Shared, part: u32, place: FeedPlace) -> Result<(), String> {
    let ReadSide { feed, rows, parked, .. } = &shared.read_side;
    for entry in feed[part as usize].entries.iter().filter(|entry| entry.place <= place) {
        let is_parked = parked.contains_key(&entry.graph);
        if is_parked || shared.graphs.get(&entry.graph).is_some_and(|log| log.upheavals > 0) {
            continue;
        }
        for projection in PROJECTIONS {
            let found = rows.get(&(entry.graph.clone(), projection.name.to_owned()));
            if found.is_none_or(|found| found.at.head.version < entry.to) {
                return Err(format!(
                    "place {place:?} is left behind, and {} has not {entry:?}",
                    projection.name
                ));
            }
        }
    }
    Ok(())
}
