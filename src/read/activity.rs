//! Activity: who did how much of what, when. Answered from rows that projector tasks keep.

use std::collections::BTreeMap;

use dao_projections::{Activity, ActivityKey, GraphId, Projection, Timestamp, UserId, Version};
use tokio::time::{Instant, sleep_until};

use super::{
    ReadError,
    version_wait::{self, FIRST_PAUSE, PAUSE_MAX, WAIT},
};
use crate::{
    store::ProjectionStore,
    write::{Graphs, WriteError},
};

/// Graphs looked into for one answer about all of them.
const GRAPHS_MAX: usize = 200;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// Of this user alone.
    pub user: Option<UserId>,
    /// Events of this type alone.
    pub event_type: Option<String>,
    /// Hours that end after this.
    pub from: Option<Timestamp>,
    /// Hours that begin at or before this.
    pub to: Option<Timestamp>,
}

/// Where a page of counts ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityPlace {
    /// In which graph.
    pub graph: GraphId,
    /// At which row; `None` after all rows of the graph.
    pub key: Option<String>,
}

/// One count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityCount {
    /// In which graph.
    pub graph: GraphId,
    /// Of what.
    pub key: ActivityKey,
    /// How many events.
    pub events: u64,
}

/// A page of counts.
#[derive(Clone, Debug, Default)]
pub struct ActivityFound {
    /// The counts, by graph, hour, type and user.
    pub counts: Vec<ActivityCount>,
    /// The version up to which the last graph's events are counted.
    pub version: Version,
    /// Where to go on; `None` at the end.
    pub next: Option<ActivityPlace>,
}

impl ActivityFilter {
    fn wants(&self, key: &ActivityKey) -> bool {
        const HOUR_MS: u64 = 3_600_000;
        self.user.as_ref().is_none_or(|user| *user == key.user)
            && self.event_type.as_ref().is_none_or(|name| *name == key.event_type)
            && self.from.is_none_or(|from| key.hour.0 + HOUR_MS > from.0)
            && self.to.is_none_or(|to| key.hour <= to)
    }
}

/// What happened in one graph, at most `limit` counts after `after`; counted up to `min_version` or later,
/// if that comes to be in time (rule H3).
pub async fn activity(
    graphs: &Graphs,
    graph: &GraphId,
    filter: &ActivityFilter,
    after: Option<&ActivityPlace>,
    limit: usize,
    min_version: Option<Version>,
) -> Result<ActivityFound, ReadError> {
    if let Some(min) = min_version {
        wait_until_counted(graphs, graph, min).await?;
    }
    let mut found = ActivityFound::default();
    if let Some(rows) = graphs.rows() {
        let after = after.and_then(|place| place.key.as_deref());
        add(&**rows, graph, filter, after, limit, &mut found).await?;
    }
    Ok(found)
}

/// How many events there were in each hour in one graph, as `sum` says it; and the version up to which they are counted.
pub(super) async fn by_hour<T: Send + 'static>(
    graphs: &Graphs,
    graph: &GraphId,
    filter: &ActivityFilter,
    min_version: Option<Version>,
    sum: impl FnOnce(BTreeMap<Timestamp, u64>) -> T + Send + 'static,
) -> Result<(Version, T), ReadError> {
    if let Some(min) = min_version {
        wait_until_counted(graphs, graph, min).await?;
    }
    let found = match graphs.rows() {
        Some(rows) => rows.all_rows(graph, Activity::NAME).await?,
        None => None,
    };
    let found = found.filter(|(at, _)| at.format == Activity::FORMAT);
    let (version, rows) = found.map_or_else(Default::default, |(at, rows)| (at.head.version, rows));
    let filter = filter.clone();
    let add_up = move || {
        let mut hours: BTreeMap<Timestamp, u64> = BTreeMap::new();
        for (text, row) in rows {
            let Some(key) = ActivityKey::parse(&text).filter(|key| filter.wants(key)) else { continue };
            let Ok(events) = Activity::decode(&text, &row) else { continue };
            let sum = hours.entry(key.hour).or_default();
            *sum = sum.saturating_add(events);
        }
        sum(hours)
    };
    let summed = tokio::task::spawn_blocking(add_up).await.map_err(|_| WriteError::Failed)?;
    Ok((version, summed))
}

/// First until the version is there, then until it is counted. Nobody is woken when rows change, often in another
/// process: it looks, and looks less and less often.
async fn wait_until_counted(graphs: &Graphs, graph: &GraphId, min: Version) -> Result<(), ReadError> {
    let deadline = Instant::now() + WAIT;
    let mut counted = counted_to(graphs, graph).await?;
    if counted >= min {
        return Ok(());
    }
    version_wait::reach(graphs, graph, graphs.store().head(graph).await?, min).await?;
    let _place = graphs.place_to_wait()?;
    let mut pause = FIRST_PAUSE;
    while counted < min {
        let now = Instant::now();
        if now >= deadline {
            return Err(ReadError::VersionNotReached { current: counted });
        }
        sleep_until(deadline.min(now + pause)).await;
        pause = (pause * 2).min(PAUSE_MAX);
        counted = counted_to(graphs, graph).await?;
    }
    Ok(())
}

/// The version up to which a graph's events are counted.
async fn counted_to(graphs: &Graphs, graph: &GraphId) -> Result<Version, ReadError> {
    let Some(rows) = graphs.rows() else { return Ok(Version::EMPTY) };
    let at = rows.rows(graph, Activity::NAME, &[]).await?.at;
    Ok(at.filter(|at| at.format == Activity::FORMAT).map_or(Version::EMPTY, |at| at.head.version))
}

/// What happened in all graphs, at most `limit` counts after `after`. A page may be short, also
/// empty, and yet not be the last: there is a bound to the graphs that are looked into.
pub async fn all_activity(
    graphs: &Graphs,
    filter: &ActivityFilter,
    after: Option<&ActivityPlace>,
    limit: usize,
) -> Result<ActivityFound, ReadError> {
    let mut found = ActivityFound::default();
    let Some(rows) = graphs.rows() else { return Ok(found) };
    let mut last = after.map(|place| place.graph.clone());
    if let Some(ActivityPlace { graph, key: Some(key) }) = after {
        add(&**rows, graph, filter, Some(key), limit, &mut found).await?;
    }
    let page = graphs.store().graphs(last.as_ref(), GRAPHS_MAX).await?;
    let is_last = page.len() < GRAPHS_MAX;
    for graph in page {
        if found.next.is_some() || found.counts.len() >= limit {
            break;
        }
        add(&**rows, &graph, filter, None, limit, &mut found).await?;
        last = Some(graph.clone());
    }
    let is_full = found.next.is_none() && (!is_last || found.counts.len() >= limit);
    if is_full && let Some(graph) = last {
        found.next = Some(ActivityPlace { graph, key: None });
    }
    Ok(found)
}

async fn add(
    rows: &dyn ProjectionStore,
    graph: &GraphId,
    filter: &ActivityFilter,
    after: Option<&str>,
    limit: usize,
    found: &mut ActivityFound,
) -> Result<(), ReadError> {
    let Some((at, mut rows)) = rows.all_rows(graph, Activity::NAME).await? else { return Ok(()) };
    if at.format != Activity::FORMAT {
        return Ok(());
    }
    found.version = at.head.version;
    rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let start = after.map_or(0, |after| rows.partition_point(|(key, _)| key.as_str() <= after));
    let mut last = None;
    for (text, row) in &rows[start..] {
        let Some(key) = ActivityKey::parse(text).filter(|key| filter.wants(key)) else { continue };
        let Ok(events) = Activity::decode(text, row) else { continue };
        if found.counts.len() == limit {
            found.next = Some(ActivityPlace { graph: graph.clone(), key: last });
            return Ok(());
        }
        found.counts.push(ActivityCount { graph: graph.clone(), key, events });
        last = Some(text.clone());
    }
    Ok(())
}
