//! How far projections are behind the log, measured at most once a second however many ask.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use crate::project::{self, Health, Stores};

/// How often the lag is measured at most.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// The last measurement of the projections.
#[derive(Default)]
pub(super) struct LagCache {
    /// Held while measuring, so that many who ask measure once.
    last: Mutex<Option<(Instant, Health)>>,
}

impl LagCache {
    /// The state of projections made from these stores. An error says why the store does not tell.
    pub(super) async fn measure(&self, stores: &Stores) -> Result<Health, String> {
        let mut last = self.last.lock().await;
        if let Some((at, health)) = &*last
            && at.elapsed() < MEASURE_INTERVAL
        {
            return Ok(health.clone());
        }
        let health = project::health(stores).await.map_err(|error| error.to_string())?;
        *last = Some((Instant::now(), health.clone()));
        Ok(health)
    }
}
