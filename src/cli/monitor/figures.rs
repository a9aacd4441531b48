//! Computes the figures on the screen from two polls of a server.

use std::{collections::BTreeMap, time::Duration};

use super::exposition::Exposition;

/// The figures of a server between two polls.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) version: String,
    pub(super) durability: String,
    pub(super) is_store_available: bool,
    pub(super) uptime_s: f64,
    /// Operations per second, by outcome.
    pub(super) commands: BTreeMap<String, f64>,
    /// Operations per second that were refused over changes of others.
    pub(super) conflicts: f64,
    pub(super) commits: f64,
    /// Latency of the appends between the polls; of all appends, if there was none.
    pub(super) append_p50_s: Option<f64>,
    pub(super) append_p99_s: Option<f64>,
    pub(super) sockets: f64,
    pub(super) streams: f64,
    pub(super) laggards: f64,
    pub(super) hot_graphs: f64,
    /// `None` if the server could not find out.
    pub(super) lag_commits: Option<f64>,
    pub(super) lag_s: Option<f64>,
    pub(super) parked_graphs: Option<f64>,
    pub(super) memory_bytes: Option<f64>,
    /// Requests per second that ended with 5xx.
    pub(super) failures: f64,
    /// Requests per second by route, without those of monitors.
    pub(super) routes: BTreeMap<String, f64>,
}

impl Figures {
    /// The sum of `commands`.
    pub(super) fn commands_per_s(&self) -> f64 {
        self.commands.values().sum()
    }

    /// The figures of `now`, with rates since `before`, that long ago. A counter that went back belongs to a restarted
    /// server, and counts from 0.
    pub(super) fn between(before: &Exposition, now: &Exposition, apart: Duration) -> Self {
        let seconds = apart.as_secs_f64().max(1e-3);
        let rates = |name: &str, label: &str| {
            let earlier = before.by(name, label);
            let since = |(word, value): (String, f64)| {
                let rate = grown(earlier.get(&word).copied().unwrap_or_default(), value) / seconds;
                (word, rate)
            };
            now.by(name, label).into_iter().map(since).collect::<BTreeMap<_, _>>()
        };
        let known = |name: &str| now.has(name).then(|| now.sum(name));
        let conflicts = rates("dao_conflicts_total", "kind").into_iter().filter(|(kind, _)| kind != "merged");
        let failures = rates("dao_http_requests_total", "status").into_iter();
        let word = |name, label| now.label(name, label).unwrap_or("?").to_owned();
        let appends = (before.buckets(APPEND), now.buckets(APPEND));
        let append =
            |share| quantile(&appends.0, &appends.1, share).or_else(|| quantile(&[], &appends.1, share));
        Self {
            version: word("dao_build_info", "version"),
            durability: word("dao_durability_info", "name"),
            is_store_available: now.sum("dao_store_available") > 0.0,
            uptime_s: now.sum("dao_uptime_seconds"),
            commands: rates("dao_commands_total", "outcome"),
            conflicts: conflicts.map(|(_, rate)| rate).sum(),
            commits: grown(before.sum("dao_commits_total"), now.sum("dao_commits_total")) / seconds,
            append_p50_s: append(0.5),
            append_p99_s: append(0.99),
            sockets: now.sum("dao_websocket_connections"),
            streams: now.sum("dao_streams"),
            laggards: now.sum("dao_live_laggards"),
            hot_graphs: now.sum("dao_hot_graphs"),
            lag_commits: known("dao_projection_lag_commits"),
            lag_s: known("dao_projection_lag_seconds"),
            parked_graphs: known("dao_projection_parked_graphs"),
            memory_bytes: known("process_resident_memory_bytes"),
            failures: failures.filter(|(status, _)| status.starts_with('5')).map(|(_, rate)| rate).sum(),
            routes: rates("dao_http_requests_total", "route")
                .into_iter()
                .filter(|(route, _)| !WATCHING.contains(&route.as_str()))
                .collect(),
        }
    }
}

/// Routes that monitoring asks.
const WATCHING: [&str; 3] = ["/metrics", "/readyz", "/healthz"];

const APPEND: &str = "dao_append_duration_seconds";

fn grown(before: f64, now: f64) -> f64 {
    if now >= before { now - before } else { now }
}

/// A quantile of the observations between two polls, like Prometheus' `histogram_quantile`: values are evenly spread
/// in each bucket. `None` without observations.
fn quantile(before: &[(f64, f64)], now: &[(f64, f64)], share: f64) -> Option<f64> {
    let is_same = before.len() == now.len() && before.iter().zip(now).all(|(b, n)| b.0 == n.0 && b.1 <= n.1);
    let earlier = |index: usize| if is_same { before[index].1 } else { 0.0 };
    let came: Vec<_> =
        now.iter().enumerate().map(|(index, (bound, n))| (*bound, n - earlier(index))).collect();
    let all = came.last()?.1;
    let rank = share * all;
    let index = came.iter().position(|(_, count)| *count >= rank).filter(|_| all > 0.0)?;
    let (low, below) = if index == 0 { (0.0, 0.0) } else { came[index - 1] };
    let (high, upto) = came[index];
    if high.is_infinite() {
        return Some(low);
    }
    Some(low + (high - low) * (rank - below) / (upto - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_of_what_came_meanwhile() {
        let before = [(1.0, 100.0), (2.0, 100.0), (f64::INFINITY, 100.0)];
        let now = [(1.0, 100.0), (2.0, 110.0), (f64::INFINITY, 110.0)];
        assert_eq!(quantile(&before, &now, 0.5), Some(1.5));
        assert_eq!(quantile(&[], &now, 0.5), Some(0.55), "of all");
        assert_eq!(quantile(&now, &now, 0.5), None, "nothing came");
        assert_eq!(quantile(&now, &before, 0.5), Some(0.5), "the server was started anew");
        assert_eq!(
            quantile(&[], &[(1.0, 0.0), (f64::INFINITY, 3.0)], 0.99),
            Some(1.0),
            "beyond the last bound"
        );
        assert_eq!(quantile(&[], &[], 0.5), None);
    }

    #[test]
    fn rates_are_since_the_last_look_and_survive_a_restart() {
        let read = |n: u32| {
            Exposition::read(&format!(
                "dao_commands_total{{outcome=\"applied\"}} {n}\ndao_commits_total {n}\n"
            ))
        };
        let figures = Figures::between(&read(10), &read(30), Duration::from_secs(2));
        assert_eq!((figures.commands_per_s(), figures.commits), (10.0, 10.0));
        assert_eq!(Figures::between(&read(30), &read(4), Duration::from_secs(2)).commits, 2.0);
        assert_eq!(figures.lag_commits, None, "what is not told is not 0");
    }
}
