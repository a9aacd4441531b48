//! What reads of a graph's contents have in common: which version is asked for (rule L13), whether the caller has it
//! already, and that the contents of a graph in the trash are not shown (rule L8).

use axum::{
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use dao_projections::{GraphId, Head};

use super::{
    app::App,
    extractors::QueryParameters,
    format::Format,
    problem::Problem,
    reads::{entity_tag, is_known, marked},
};
use crate::{
    domain::VersionRef,
    read::{self, CurrentState, NamedVersion, StateSource},
};

/// Whether the contents of a graph in the trash are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trash {
    Refused,
    Shown,
}

/// The contents that a read is about.
pub(super) enum Contents {
    /// Those at this head, which the caller has already, and where it was learned. The graph is not loaded.
    Known(Head, StateSource),
    /// Those of this graph.
    Of(CurrentState),
}

/// The graph at the version that the query names, which is the head unless it says otherwise.
pub(super) async fn contents(
    app: &App,
    graph: &GraphId,
    query: &QueryParameters,
    (headers, format): (&HeaderMap, Format),
    trash: Trash,
) -> Result<Contents, Problem> {
    let found = find(app, graph, query, trash).await?;
    match &found {
        (current, NamedVersion { head: Some(head), .. }) if is_known(headers, &entity_tag(*head, format)) => {
            Ok(Contents::Known(*head, current.source))
        }
        _ => load(app, graph, found).await.map(Contents::Of),
    }
}

/// The same, to look for one node or edge: only who finds it is told that it is as they know it.
pub(super) async fn contents_of_one(
    app: &App,
    graph: &GraphId,
    query: &QueryParameters,
) -> Result<CurrentState, Problem> {
    let found = find(app, graph, query, Trash::Refused).await?;
    load(app, graph, found).await
}

/// The head of the graph, and which version the query names.
async fn find(
    app: &App,
    graph: &GraphId,
    query: &QueryParameters,
    trash: Trash,
) -> Result<(CurrentState, NamedVersion), Problem> {
    let (name, min) = (version_ref(query)?, query.version("minVersion")?);
    let current = read::current(&app.graphs, graph, min).await?;
    if trash == Trash::Refused {
        refuse_trashed(&current)?;
    }
    let named = read::version_named(&app.graphs, graph, &current.view.graph, &name).await?;
    Ok((current, named))
}

async fn load(
    app: &App,
    graph: &GraphId,
    (current, named): (CurrentState, NamedVersion),
) -> Result<CurrentState, Problem> {
    if named.version == current.head().version {
        return Ok(current);
    }
    let _turn = app.long_read().await?;
    Ok(read::at_version(&app.graphs, graph, named.version).await?)
}

/// `at`, or `version`, which takes a number alone.
fn version_ref(query: &QueryParameters) -> Result<VersionRef, Problem> {
    match (query.version_ref("at")?, query.version("version")?) {
        (Some(_), Some(_)) => Err(Problem::bad_request("version: says what at says. Send one of them.")),
        (Some(at), None) => Ok(at),
        (None, Some(version)) => Ok(VersionRef::Version(version)),
        (None, None) => Ok(VersionRef::Head),
    }
}

/// The contents of a graph in the trash are gone until it is recovered.
pub(super) fn refuse_trashed(current: &CurrentState) -> Result<(), Problem> {
    match &current.view.graph.metadata().trashed {
        Some(trashed) => Err(Problem::trashed(trashed)),
        None => Ok(()),
    }
}

/// The answer to one who has the contents at this head.
pub(super) fn not_modified(head: Head, format: Format, source: StateSource) -> Response {
    marked(StatusCode::NOT_MODIFIED.into_response(), entity_tag(head, format), source)
}
