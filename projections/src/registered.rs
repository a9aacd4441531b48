//! The projections that servers and workers run.

use crate::{activity::Activity, catalog::Catalog, projection::Registered, snapshot::Snapshot};

/// All projections. To add one, add a file beside this one and a line here.
pub const PROJECTIONS: &[Registered] =
    &[Registered::of::<Snapshot>(), Registered::of::<Activity>(), Registered::of::<Catalog>()];
