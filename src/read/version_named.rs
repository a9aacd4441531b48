//! Which version of a graph a name means: a number, a label, `head` or a time (rule L13).

use dao_projections::{Graph, GraphId, Head, Version};

use super::{CurrentState, at_version, current, error::ReadError};
use crate::{
    domain::VersionRef,
    write::{Graphs, version_at_time::last_until},
};

/// A version that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedVersion {
    /// Its number.
    pub version: Version,
    /// The head of the graph at it, if that is known without reading the history.
    pub head: Option<Head>,
}

/// The version of this graph that `name` means; `current` is the graph as it is now. A time before the first commit
/// means version 0.
pub async fn version_named(
    graphs: &Graphs,
    id: &GraphId,
    current: &Graph,
    name: &VersionRef,
) -> Result<NamedVersion, ReadError> {
    let head = current.head();
    let of = |version: Version| NamedVersion { version, head: (version == head.version).then_some(head) };
    Ok(match name {
        VersionRef::Head => of(head.version),
        VersionRef::Version(version) if *version > head.version => {
            return Err(ReadError::VersionNotFound { current: head.version });
        }
        VersionRef::Version(version) => of(*version),
        VersionRef::Label(name) => {
            let label = current.metadata().labels.get(name);
            let label = label.ok_or_else(|| ReadError::LabelNotFound { name: name.clone() })?;
            let version = label.version;
            NamedVersion { version, head: label.hash.map(|hash| Head { version, hash }) }
        }
        VersionRef::Time(time) if current.last_modified().is_none_or(|last| last <= *time) => {
            of(head.version)
        }
        VersionRef::Time(time) => of(last_until(&**graphs.store(), id, head.version, *time).await?),
    })
}

/// The graph at the version that `name` means.
pub async fn at(graphs: &Graphs, id: &GraphId, name: &VersionRef) -> Result<CurrentState, ReadError> {
    let current = current(graphs, id, None).await?;
    let named = version_named(graphs, id, &current.view.graph, name).await?;
    match named.version == current.head().version {
        true => Ok(current),
        false => at_version(graphs, id, named.version).await,
    }
}
