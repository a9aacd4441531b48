//! The catalog's table: what lists of graphs are sorted by. The rows themselves stand among those of projections.

use bytes::Bytes;
use dao_projections::GraphId;
use rusqlite::{Connection, params, types::Value};

use super::reader::ReadFailure;
use crate::store::{ListOrder, ListPlace, ListQuery, ListSort, Listed, Listing};

/// Lists the graph, or lists it at another place.
pub(super) fn put(
    connection: &Connection,
    row: i64,
    graph: &GraphId,
    listing: &Listing,
) -> rusqlite::Result<()> {
    let keys = &listing.keys;
    connection
        .prepare_cached("INSERT OR REPLACE INTO catalog VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![row, graph.as_str(), keys.updated, keys.created, keys.title, &listing.row[..]])
        .map(drop)
}

/// The piece of the list.
pub(super) fn list(connection: &Connection, query: &ListQuery) -> Result<Vec<Listed>, ReadFailure> {
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
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let Ok(graph) = GraphId::parse(&name) else { continue };
        let bytes = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let place = ListPlace { key: row.get(0)?, graph };
        listed.push(Listed { place, row: Bytes::copy_from_slice(bytes) });
    }
    Ok(listed)
}

/// Each walks one index from the place on.
fn statement(sort: ListSort, order: ListOrder) -> &'static str {
    macro_rules! select {
        ($key:literal, $compare:literal, $order:literal) => {
            concat!(
                "SELECT ",
                $key,
                ", name, row FROM catalog
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
            "SELECT '', name, row FROM catalog WHERE ?1 = ?1 AND name > ?2 AND name >= ?3 AND name < ?4
             ORDER BY name ASC LIMIT ?5"
        }
        (ListSort::Id, ListOrder::Descending) => {
            "SELECT '', name, row FROM catalog WHERE ?1 = ?1 AND name < ?2 AND name >= ?3 AND name < ?4
             ORDER BY name DESC LIMIT ?5"
        }
    }
}
