//! `GET /graphs`: the graphs that the caller may read (rule L2).
//!
//! The rows are those of a projection and can be behind; `asOf` says how far. One graph as it is now: [`super::graph`].

use axum::{extract::State, http::StatusCode, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dao_projections::{GraphId, Timestamp};
use serde::Serialize;

use super::{
    app::App,
    authentication::{VerifiedGrant, access_of},
    extractors::{QueryParameters, ResponseFormat},
    format::respond,
    graph::GraphRow,
    problem::Problem,
};
use crate::{
    auth::Grant,
    project::{READER, now_ms},
    read::{self, CatalogFilter, CatalogPage, ListOrder, ListPlace, ListSort, TrashFilter},
};

/// Graphs in one answer, unless asked otherwise.
const PAGE_DEFAULT: usize = 50;
/// In one answer at most: each may have 16 KiB of attributes, and labels.
const PAGE_MAX: usize = 200;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CatalogOut<'a> {
    graphs: Vec<GraphRow<'a>>,
    next_cursor: Option<String>,
    as_of: Timestamp,
}

/// List the graphs that you may read.
pub(super) async fn graphs(
    State(app): State<App>,
    query: QueryParameters,
    VerifiedGrant(grant): VerifiedGrant,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let (page, filter) = (page_of(&query, grant.as_deref())?, filter_of(&query)?);
    let now = Timestamp(now_ms());
    let Some(rows) = app.graphs.rows() else {
        let nothing = CatalogOut { graphs: vec![], next_cursor: None, as_of: now };
        return Ok(respond(StatusCode::OK, format, &nothing));
    };
    let _turn = app.long_read().await?;
    let may_read = |graph: &GraphId| grant.as_ref().is_none_or(|grant| grant.rights.on(graph).is_some());
    let found = read::catalog(&**rows, READER, now, &page, &filter, may_read).await?;
    let graphs = found.graphs.iter();
    let graphs = graphs.map(|(id, row)| GraphRow::of_row(id, row, access_of(grant.as_deref(), id)));
    let next_cursor = found.next.as_ref().map(|place| write_cursor(page.sort, place));
    Ok(respond(
        StatusCode::OK,
        format,
        &CatalogOut { graphs: graphs.collect(), next_cursor, as_of: found.as_of },
    ))
}

fn page_of(query: &QueryParameters, grant: Option<&Grant>) -> Result<CatalogPage, Problem> {
    let sorts = [
        ("updated", ListSort::Updated),
        ("created", ListSort::Created),
        ("title", ListSort::Title),
        ("id", ListSort::Id),
    ];
    let sort = query.one_of("sort", &sorts)?.unwrap_or(ListSort::Updated);
    let orders = [("asc", ListOrder::Ascending), ("desc", ListOrder::Descending)];
    let order = query.one_of("order", &orders)?.unwrap_or(match sort {
        ListSort::Updated | ListSort::Created => ListOrder::Descending,
        ListSort::Title | ListSort::Id => ListOrder::Ascending,
    });
    let cursor = query.text("cursor");
    let after = cursor.map(|text| read_cursor(sort, text).ok_or_else(Problem::bad_cursor)).transpose()?;
    let prefix = query.text("prefix").unwrap_or_default();
    Ok(CatalogPage {
        sort,
        order,
        prefixes: prefixes_of(prefix, grant),
        after,
        limit: query.limit(PAGE_DEFAULT, PAGE_MAX)?,
    })
}

fn filter_of(query: &QueryParameters) -> Result<CatalogFilter, Problem> {
    let text = |name: &str| query.text(name).map(str::to_owned);
    let words = [("no", TrashFilter::No), ("only", TrashFilter::Only), ("any", TrashFilter::Any)];
    Ok(CatalogFilter {
        text: query.text("q").map(str::to_lowercase),
        tag: text("tag"),
        owner: text("owner"),
        label: text("label"),
        trashed: query.one_of("trashed", &words)?.unwrap_or_default(),
        data: query.beginning_with("data.").map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    })
}

/// The beginnings of the ids that the caller wants and may read: what stands before the first `*` of each glob.
fn prefixes_of(wanted: &str, grant: Option<&Grant>) -> Vec<String> {
    let Some(grant) = grant else { return vec![wanted.to_owned()] };
    let literal = |glob: &str| glob.split('*').next().unwrap_or_default().to_owned();
    let mut prefixes: Vec<String> = grant
        .rights
        .iter()
        .map(|(glob, _)| literal(glob.as_str()))
        .filter(|prefix| prefix.starts_with(wanted) || wanted.starts_with(prefix.as_str()))
        .map(|prefix| if prefix.len() < wanted.len() { wanted.to_owned() } else { prefix })
        .collect();
    prefixes.sort_unstable();
    // Sorted, a prefix stands right before all that begin with it.
    prefixes.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
    prefixes
}

/// base64url of what the list is sorted by, the key and the graph, as JSON.
fn write_cursor(sort: ListSort, place: &ListPlace) -> String {
    let parts = serde_json::json!([mark(sort), place.key, place.graph]);
    URL_SAFE_NO_PAD.encode(parts.to_string())
}

fn read_cursor(sort: ListSort, text: &str) -> Option<ListPlace> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (sorted, key, graph): (String, String, String) = serde_json::from_slice(&bytes).ok()?;
    let is_fine = sorted == mark(sort) && !key.contains('\0');
    let graph = GraphId::parse(&graph).ok().filter(|_| is_fine)?;
    Some(ListPlace { key, graph })
}

fn mark(sort: ListSort) -> &'static str {
    match sort {
        ListSort::Updated => "u",
        ListSort::Created => "c",
        ListSort::Title => "t",
        ListSort::Id => "i",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dao_projections::UserId;

    use super::*;
    use crate::auth::{Glob, Right, Rights};

    #[test]
    fn l2_a_list_is_scanned_by_the_prefixes_of_the_globs() {
        let prefixes = |wanted: &str, globs: &[&str]| {
            let glob = |text: &&str| (Glob::parse(text).expect("a glob"), Right::Read);
            let rights = Rights::new(globs.iter().map(glob).collect());
            let user = UserId::parse("ada").expect("a user");
            let grant = Arc::new(Grant { user, rights, expires_s: 0 });
            prefixes_of(wanted, Some(&grant))
        };
        assert_eq!(prefixes("", &["team-a.*", "b", "team-a.x*"]), ["b", "team-a."]);
        assert_eq!(prefixes("team-a.x", &["team-a.*", "b"]), ["team-a.x"]);
        assert_eq!(prefixes("", &["*", "b"]), [""]);
        assert!(prefixes("c", &["team-a.*", "b"]).is_empty());
        assert_eq!(prefixes_of("c", None), ["c"]);
    }
}
