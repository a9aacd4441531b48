//! The catalog's table: what lists of graphs are sorted by, and what they show. The rows stand among those of projections
//! too.

use bytes::Bytes;
use dao_projections::GraphId;
use rusqlite::{Connection, OptionalExtension, params, types::Value};

use super::read_failure::ReadFailure;
use crate::store::{ListOrder, ListPiece, ListPlace, ListQuery, ListSort, Listing};

/// Lists the graph, or lists it at another place.
pub(super) fn put(
    connection: &Connection,
    row: i64,
    graph: &GraphId,
    listing: &Listing,
) -> rusqlite::Result<()> {
    let keys = &listing.keys;
    let purge = listing.purge_after_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
    connection
        .prepare_cached("INSERT OR REPLACE INTO catalog VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            row,
            graph.as_str(),
            keys.updated,
            keys.created,
            keys.title,
            &listing.row[..],
            purge
        ])
        .map(drop)
}

/// The piece of the list.
pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<ListPiece, ReadFailure> {
    let mut select = connection.prepare_cached(statement(query.sort, query.order))?;
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    // After every id with this prefix: ids are ASCII.
    let prefix_end = format!("{}\u{7f}", query.prefix);
    let text = |text: &str| Value::Text(text.to_owned());
    let (key, graph) = match (&query.after, query.order) {
        (Some(place), _) => (text(&place.key), text(place.graph.as_str())),
        (None, ListOrder::Ascending) => (text(""), text("")),
        // SQLite sorts every blob after every text.
        (None, ListOrder::Descending) => (Value::Blob(vec![]), Value::Blob(vec![])),
    };
    let mut rows = select.query(params![key, graph, query.prefix, prefix_end, limit])?;
    let (mut places, mut found) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        found += 1;
        let name = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let Ok(graph) = GraphId::parse(name) else { continue };
        places.push(ListPlace { key: row.get(0)?, graph });
    }
    Ok(ListPiece { places, is_end: found < query.limit })
}

/// What lists show of these graphs.
pub(super) fn rows(connection: &Connection, graphs: &[GraphId]) -> Result<Vec<Option<Bytes>>, ReadFailure> {
    let mut find = connection.prepare_cached("SELECT row FROM catalog WHERE name = ?1")?;
    let row = |graph: &GraphId| {
        let row = find.query_row([graph.as_str()], |r| Ok(Bytes::copy_from_slice(r.get_ref(0)?.as_blob()?)));
        row.optional()
    };
    Ok(graphs.iter().map(row).collect::<rusqlite::Result<_>>()?)
}

/// Graphs that may be purged before this time, after the first `skip`.
pub(super) fn due_for_purge(
    connection: &Connection,
    before_ms: u64,
    skip: usize,
    limit: usize,
) -> Result<Vec<GraphId>, ReadFailure> {
    let mut select = connection.prepare_cached(
        "SELECT name FROM catalog WHERE purge IS NOT NULL AND purge < ?1 ORDER BY purge, graph
         LIMIT ?2 OFFSET ?3",
    )?;
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let between = [number(before_ms), number(limit as u64), number(skip as u64)];
    let names = select.query_map(between, |r| r.get::<_, String>(0))?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    Ok(names.iter().filter_map(|name| GraphId::parse(name).ok()).collect())
}

/// Each walks one index from the place on, and nothing else.
fn statement(sort: ListSort, order: ListOrder) -> &'static str {
    macro_rules! select {
        ($key:literal, $compare:literal, $order:literal) => {
            concat!(
                "SELECT ",
                $key,
                ", name FROM catalog
                 WHERE (",
                $key,
                ", name) ",
                $compare,
                " (?1, ?2) AND name >= ?3 AND name < ?4
                 ORDER BY ",
                $key,
                " ",
                $order,
                ", name ",
                $order,
                " LIMIT ?5"
            )
        };
    }
    match (sort, order) {
        (ListSort::Updated, ListOrder::Ascending) => select!("updated", ">", "ASC"),
        (ListSort::Updated, ListOrder::Descending) => select!("updated", "<", "DESC"),
        (ListSort::Created, ListOrder::Ascending) => select!("created", ">", "ASC"),
        (ListSort::Created, ListOrder::Descending) => select!("created", "<", "DESC"),
        (ListSort::Title, ListOrder::Ascending) => select!("title", ">", "ASC"),
        (ListSort::Title, ListOrder::Descending) => select!("title", "<", "DESC"),
        (ListSort::Id, ListOrder::Ascending) => {
            "SELECT '', name FROM catalog WHERE ?1 = ?1 AND name > ?2 AND name >= ?3 AND name < ?4
             ORDER BY name ASC LIMIT ?5"
        }
        (ListSort::Id, ListOrder::Descending) => {
            "SELECT '', name FROM catalog WHERE ?1 = ?1 AND name < ?2 AND name >= ?3 AND name < ?4
             ORDER BY name DESC LIMIT ?5"
        }
    }
}
