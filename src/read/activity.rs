//! Activity: who did how much of what, when. Answered from rows that projector tasks keep.
//!
//! Not here: how the rows are made ([`dao_projections::Activity`]).

use std::collections::BTreeMap;

use dao_projections::{Activity, ActivityKey, GraphId, Projection, Timestamp, UserId, Version};
use tokio::{
    sync::SemaphorePermit,
    time::{Instant, sleep_until},
};

use super::{
    error::ReadError,
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

/// What happened in one graph, at most `limit` counts after `after`.
pub async fn activity(
    graphs: &Graphs,
    graph: &GraphId,
    filter: &ActivityFilter,
    after: Option<&ActivityPlace>,
    limit: usize,
) -> Result<ActivityFound, ReadError> {
    let mut found = ActivityFound::default();
    if let Some(rows) = graphs.rows() {
        let after = after.and_then(|place| place.key.as_deref());
        add(&**rows, graph, filter, after, limit, &mut found).await?;
    }
    Ok(found)
}

/// A read that waits until the events of a graph are counted up to a version (rule H3). Nobody is woken when rows change,
/// often in another process: it looks, and looks less and less often.
///
/// It has one of the places of those who wait and one deadline for all that it waits for. It must have no turn of others
/// while it waits.
pub struct ActivityWait<'a> {
    graphs: &'a Graphs,
    graph: &'a GraphId,
    min: Version,
    /// Up to where they were counted when it began.
    counted: Version,
    deadline: Instant,
    _place: SemaphorePermit<'a>,
}

impl<'a> ActivityWait<'a> {
    /// Begins, and waits until the graph is at `min` or later. `None` if its events are counted up to there.
    pub async fn begin(
        graphs: &'a Graphs,
        graph: &'a GraphId,
        min: Version,
    ) -> Result<Option<Self>, ReadError> {
        let deadline = Instant::now() + WAIT;
        let counted = counted_to(graphs, graph).await?;
        if counted >= min {
            return Ok(None);
        }
        let _place = graphs.place_to_wait()?;
        let head = graphs.store().head(graph).await?;
        version_wait::reach_by(graphs, graph, head, min, deadline).await?;
        Ok(Some(Self { graphs, graph, min, counted, deadline, _place }))
    }

    /// How many versions were to be counted when it began.
    pub fn missing(&self) -> u64 {
        self.min.since(self.counted)
    }

    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits until they are counted, or for as long as it may.
    pub async fn counted(&self) -> Result<(), ReadError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let current = counted_to(self.graphs, self.graph).await?;
            let now = Instant::now();
            if current >= self.min {
                return Ok(());
            }
            if now >= self.deadline {
                return Err(ReadError::VersionNotReached { current });
            }
            sleep_until(self.deadline.min(now + pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// How many events there were in each hour in one graph, as `sum` says it; and the version up to which they are counted.
pub(super) async fn by_hour<T: Send + 'static>(
    graphs: &Graphs,
    graph: &GraphId,
    filter: &ActivityFilter,
    sum: impl FnOnce(BTreeMap<Timestamp, u64>) -> T + Send + 'static,
) -> Result<(Version, T), ReadError> {
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
