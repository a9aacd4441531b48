//! Lists of graphs, from the rows that projector tasks keep (rule L2).
//!
//! Invariants:
//! - A graph is listed only if the caller may read it.
//! - One call looks at [`LOOKED_AT_MAX`] graphs at most. So a page may be short, also empty, and yet not be the last.
//!
//! Not here: one graph as it is now, which is read from the graph itself.

use dao_projections::{Catalog, CatalogRow, GraphId, Projection, Timestamp};
use futures::future::try_join_all;
use serde_json::Value;

use super::error::ReadError;
use crate::store::{FeedPlace, ListOrder, ListPlace, ListQuery, ListSort, ProjectionStore};

/// Graphs that one call looks at.
pub const LOOKED_AT_MAX: usize = 20_000;
/// Places asked of the store at once.
const PIECE: usize = 1_000;
/// Rows asked of the store at once, at least: where a filter leaves out many, the page is not full with those it lacks.
const ROWS_MIN: usize = 32;

/// Which graphs in the trash are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrashFilter {
    /// None.
    #[default]
    No,
    /// Only those.
    Only,
    /// Those too.
    Any,
}

/// What is asked for. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct CatalogFilter {
    /// In the id, title, description or a tag, whatever the case.
    pub text: Option<String>,
    /// One of the tags.
    pub tag: Option<String>,
    /// The owner.
    pub owner: Option<String>,
    /// The name of a label that there is.
    pub label: Option<String>,
    /// Whether those in the trash are wanted.
    pub trashed: TrashFilter,
    /// Fields of `data` by key, with their values as text.
    pub data: Vec<(String, String)>,
}

impl CatalogFilter {
    /// Whether the graph is wanted.
    fn wants(&self, graph: &GraphId, row: &CatalogRow) -> bool {
        let fields = row.attributes.fields();
        let text_of = |key: &str| fields.get(key).and_then(|value| value.as_str());
        let tags = || fields.get("tags").and_then(|tags| tags.as_array()).into_iter().flatten();
        let has_text = |wanted: &String| {
            let texts = [Some(graph.as_str()), text_of("title"), text_of("description")];
            let mut texts = texts.into_iter().flatten().chain(tags().filter_map(|tag| tag.as_str()));
            texts.any(|text| text.to_lowercase().contains(wanted.as_str()))
        };
        let is_of_trash = match self.trashed {
            TrashFilter::No => row.trashed.is_none(),
            TrashFilter::Only => row.trashed.is_some(),
            TrashFilter::Any => true,
        };
        let data = fields.get("data");
        let has_data = |(key, wanted): &(String, String)| {
            data.and_then(|data| data.get(key)).is_some_and(|value| is_text_of(value, wanted))
        };
        is_of_trash
            && self.data.iter().all(has_data)
            && self.tag.as_ref().is_none_or(|tag| tags().any(|found| found.as_str() == Some(tag)))
            && self.owner.as_ref().is_none_or(|owner| text_of("owner") == Some(owner))
            && self.label.as_ref().is_none_or(|label| row.labels.keys().any(|name| name.as_str() == label))
            && self.text.as_ref().is_none_or(has_text)
    }
}

/// Whether this is how a text, a number, a boolean or null is written. Lists and objects are never meant.
fn is_text_of(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let written = value.to_string();
            written == wanted
        }
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Which part of the list.
#[derive(Clone, Debug)]
pub struct CatalogPage {
    /// What it is sorted by.
    pub sort: ListSort,
    /// In which direction.
    pub order: ListOrder,
    /// The beginnings of ids that are wanted at all. None begins with another; empty: none is wanted.
    pub prefixes: Vec<String>,
    /// From where on.
    pub after: Option<ListPlace>,
    /// At most so many.
    pub limit: usize,
}

/// A page of the list.
#[derive(Clone, Debug)]
pub struct CatalogFound {
    /// The graphs.
    pub graphs: Vec<(GraphId, CatalogRow)>,
    /// Where to go on; `None` at the end.
    pub next: Option<ListPlace>,
    /// Everything that was appended before this is in the list.
    pub as_of: Timestamp,
}

/// The graphs that the caller may read and wants. What lists show is read only of those that may be read.
pub async fn catalog(
    rows: &dyn ProjectionStore,
    reader: &str,
    now: Timestamp,
    page: &CatalogPage,
    filter: &CatalogFilter,
    may_read: impl Fn(&GraphId) -> bool,
) -> Result<CatalogFound, ReadError> {
    let as_of = as_of(rows, reader, now).await?;
    let mut found = CatalogFound { graphs: vec![], next: None, as_of };
    let mut looked_at = 0;
    let is_in = |graph: &GraphId| {
        page.prefixes.iter().any(|prefix| graph.as_str().starts_with(prefix.as_str())) && may_read(graph)
    };
    let stretches = stretches(page);
    for (index, prefix) in stretches.iter().enumerate() {
        let mut after = page.after.clone();
        loop {
            let limit = PIECE.min(LOOKED_AT_MAX - looked_at);
            if limit == 0 {
                return Ok(found);
            }
            let query =
                ListQuery { sort: page.sort, order: page.order, prefix: prefix.clone(), after, limit };
            let piece = rows.list(&query).await?;
            looked_at += piece.places.len();
            let mut places = piece.places.iter();
            loop {
                let due = places.as_slice();
                let wanted = (page.limit - found.graphs.len()).max(ROWS_MIN);
                let next: Vec<&ListPlace> =
                    places.by_ref().filter(|place| is_in(&place.graph)).take(wanted).collect();
                if let Some(full) = show(rows, &next, page, filter, &mut found).await? {
                    let is_last = index + 1 == stretches.len() && piece.is_end && due.last() == Some(&full);
                    found.next = (!is_last).then_some(full);
                    return Ok(found);
                }
                if places.as_slice().is_empty() {
                    break;
                }
            }
            found.next = piece.places.last().cloned().or(found.next);
            after = piece.places.last().cloned();
            if piece.is_end || piece.places.is_empty() {
                break;
            }
        }
    }
    found.next = None;
    Ok(found)
}

/// Adds those of these graphs that are wanted; the place of the last one, if the page is full with it.
async fn show(
    rows: &dyn ProjectionStore,
    places: &[&ListPlace],
    page: &CatalogPage,
    filter: &CatalogFilter,
    found: &mut CatalogFound,
) -> Result<Option<ListPlace>, ReadError> {
    let graphs: Vec<GraphId> = places.iter().map(|place| place.graph.clone()).collect();
    if graphs.is_empty() {
        return Ok(None);
    }
    for (place, row) in places.iter().zip(rows.list_rows(&graphs).await?) {
        let row = row.and_then(|row| Catalog::decode(Catalog::KEY, &row).ok());
        let Some(row) = row.filter(|row| filter.wants(&place.graph, row)) else { continue };
        found.graphs.push((place.graph.clone(), row));
        if found.graphs.len() >= page.limit {
            return Ok(Some((*place).clone()));
        }
    }
    Ok(None)
}

/// The prefixes that are asked for one after the other: a list by id jumps from one to the next; others are read as one.
fn stretches(page: &CatalogPage) -> Vec<String> {
    let mut prefixes = page.prefixes.clone();
    match (page.sort, page.order) {
        _ if prefixes.len() == 1 => prefixes,
        (ListSort::Id, ListOrder::Ascending) => {
            prefixes.sort_unstable();
            prefixes
        }
        (ListSort::Id, ListOrder::Descending) => {
            prefixes.sort_unstable_by(|a, b| b.cmp(a));
            prefixes
        }
        (ListSort::Updated | ListSort::Created | ListSort::Title, _) if prefixes.is_empty() => prefixes,
        (ListSort::Updated | ListSort::Created | ListSort::Title, _) => vec![String::new()],
    }
}

/// The time of the first append that is not projected yet, or now.
async fn as_of(rows: &dyn ProjectionStore, reader: &str, now: Timestamp) -> Result<Timestamp, ReadError> {
    let of = async |part: u32| {
        let place: FeedPlace = rows.place(reader, part).await?;
        let next = rows.feed(part, place, 1).await?;
        let at = next.first().map(|entry| Timestamp(entry.at_ms));
        Ok::<_, ReadError>(at.map_or(now, |at| at.min(now)))
    };
    let all = try_join_all((0..rows.feed_parts()).map(of)).await?;
    Ok(all.into_iter().min().unwrap_or(now))
}
