//! Questions about versions of a graph (rules L12, L13).

use utoipa::IntoParams;

/// A read of what a graph holds.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct ContentsQuery {
    /// Which version: a number, a label, `head`, or a time in milliseconds or RFC 3339. The head by default.
    at: Option<String>,
    /// Waits up to two seconds for this version: the one that the reader's own write was answered with.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// A read of a state.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct StateQuery {
    /// Which version: a number, a label, `head`, or a time in milliseconds or RFC 3339. The head by default.
    at: Option<String>,
    /// The graph as it was after this commit; `at` with a number says the same.
    #[param(minimum = 0)]
    version: Option<u64>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
    /// `include` answers for a graph in the trash too.
    #[param(pattern = "^include$")]
    trashed: Option<String>,
}

/// A document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct DocumentQuery {
    /// Which version: a number, a label, `head`, or a time in milliseconds or RFC 3339. The head by default.
    at: Option<String>,
    /// The document as it was after this commit; `at` with a number says the same.
    #[param(minimum = 0)]
    version: Option<u64>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// A comparison.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct DiffQuery {
    /// The earlier version: a number, a label, `head`, or a time in milliseconds or RFC 3339.
    from: String,
    /// The later version; the current one by default.
    to: Option<String>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// A label of a graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct LabelPath {
    /// The graph's id.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: String,
    /// The label's name; not `head`.
    #[param(pattern = "^[A-Za-z][A-Za-z0-9._-]{0,63}$", example = "published")]
    name: String,
}

/// The removal of a label.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DeleteLabelQuery {
    /// The version that the label has to name now.
    #[param(minimum = 0)]
    expect: Option<u64>,
}
