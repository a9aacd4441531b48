//! The limits of requests and connections (rule O3). Not here: the limits of a graph.

use std::{num::NonZeroU32, time::Duration};

use super::{Mistakes, Settings, parse_duration};
use crate::http::{RateConfig, RequestLimits, SocketConfig};

/// Many parsers stop at 128 levels, and this server's own wrapping takes some of them.
const JSON_DEPTH_MAX: usize = 100;
/// Connections beside the sockets, by default.
const PLAIN_CONNECTIONS: usize = 5_000;
/// A longer window would lock a refused caller out for days.
const RATE_WINDOW_MS_MAX: u64 = 86_400_000;

impl Settings {
    pub(super) fn requests(&self, sockets: &SocketConfig, wrong: &mut Mistakes) -> RequestLimits {
        let mut time =
            |name, text: &str| wrong.note(name, parse_duration(text)).unwrap_or(Duration::from_secs(1));
        let (head_timeout, body_idle_timeout, body_timeout, answer_idle_timeout) = (
            time("HEAD_TIMEOUT", &self.head_timeout),
            time("BODY_IDLE_TIMEOUT", &self.body_idle_timeout),
            time("BODY_TIMEOUT", &self.body_timeout),
            time("ANSWER_IDLE_TIMEOUT", &self.answer_idle_timeout),
        );
        let connections_max = self.connections(sockets.connections_max, wrong);
        let limits = RequestLimits {
            body_bytes_max: wrong.count("MAX_BODY_BYTES", &self.max_body_bytes),
            depth_max: wrong.count("MAX_JSON_DEPTH", &self.max_json_depth),
            batch_operations_max: wrong.count("MAX_BATCH_OPERATIONS", &self.max_batch_operations),
            bodies_bytes_max: wrong.count("MAX_BODIES_BYTES", &self.max_bodies_bytes),
            answers_bytes_max: wrong.count("MAX_ANSWERS_BYTES", &self.max_answers_bytes),
            connections_max,
            connections_per_address_max: self.connections_per_address(connections_max, wrong),
            head_timeout,
            body_idle_timeout,
            body_timeout,
            answer_idle_timeout,
        };
        if limits.depth_max > JSON_DEPTH_MAX {
            wrong.0.push(format!("MAX_JSON_DEPTH: must be at most {JSON_DEPTH_MAX}"));
        }
        if limits.bodies_bytes_max < limits.body_bytes_max {
            wrong.0.push(
                "MAX_BODIES_BYTES: must be at least MAX_BODY_BYTES, or the largest body could never be received"
                    .to_owned(),
            );
        }
        limits
    }

    fn connections(&self, sockets: usize, wrong: &mut Mistakes) -> usize {
        let Some(text) = self.max_connections.as_deref().filter(|text| !text.is_empty()) else {
            return sockets.saturating_add(PLAIN_CONNECTIONS);
        };
        let connections = wrong.count("MAX_CONNECTIONS", text);
        if connections > 0 && connections <= sockets {
            wrong.0.push(
                "MAX_CONNECTIONS: must be above WS_MAX_CONNECTIONS, or sockets could take every connection"
                    .to_owned(),
            );
        }
        connections
    }

    /// The default is half of all: enough for a machine with many clients, and never enough to take every connection.
    fn connections_per_address(&self, connections: usize, wrong: &mut Mistakes) -> usize {
        match self.max_connections_per_address.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => wrong.count("MAX_CONNECTIONS_PER_ADDRESS", text),
            None => connections.div_ceil(2),
        }
    }

    pub(super) fn rate(&self, wrong: &mut Mistakes) -> Option<RateConfig> {
        let window = self.rate_limit_window.parse().ok().filter(|ms| (1..=RATE_WINDOW_MS_MAX).contains(ms));
        let problem = format!("must be milliseconds from 1 to {RATE_WINDOW_MS_MAX}");
        let window = wrong.note("RATE_LIMIT_WINDOW", window.ok_or(problem));
        let requests = self.rate_limit_max_requests.parse::<u32>();
        let problem = format!("must be an integer from 0 (no limit) to {}", u32::MAX);
        let requests = wrong.note("RATE_LIMIT_MAX_REQUESTS", requests.map_err(|_| problem));
        let requests_max = NonZeroU32::new(requests?)?;
        Some(RateConfig { window: Duration::from_millis(window?), requests_max })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::check;

    #[test]
    fn o3_limits_that_contradict_each_other_are_refused() {
        let mistakes: [(&[&str], &str); 11] = [
            (&["--max-json-depth", "101"], "MAX_JSON_DEPTH"),
            (&["--max-body-bytes", "100000000"], "MAX_BODIES_BYTES"),
            (&["--max-connections", "20000"], "MAX_CONNECTIONS"),
            (&["--max-connections-per-address", "0"], "MAX_CONNECTIONS_PER_ADDRESS"),
            (&["--max-answers-bytes", "x"], "MAX_ANSWERS_BYTES"),
            (&["--answer-idle-timeout", "30"], "ANSWER_IDLE_TIMEOUT"),
            (&["--rate-limit-window", "0"], "RATE_LIMIT_WINDOW"),
            (&["--rate-limit-max-requests", "-1"], "RATE_LIMIT_MAX_REQUESTS"),
            (&["--trusted-proxies", "10.0.0.0/33"], "TRUSTED_PROXIES"),
            (&["--head-timeout", "30"], "HEAD_TIMEOUT"),
            (&["--max-batch-operations", "0"], "MAX_BATCH_OPERATIONS"),
        ];
        for (flags, place) in mistakes {
            let flags: Vec<String> = flags.chunks(2).map(|pair| pair.join("=")).collect();
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let text = check(&flags).err().expect(place).to_string();
            assert!(text.starts_with(place) && text.lines().count() == 1, "{place} in {text}");
        }
    }

    #[test]
    fn o3_sockets_leave_places_for_others() {
        let config = check(&["--ws-max-connections", "100"]).map_err(|wrong| wrong.to_string());
        assert_eq!(config.map(|config| config.requests.connections_max), Ok(5_100));
        assert!(check(&["--ws-max-connections", "100", "--max-connections", "101"]).is_ok());
    }

    #[test]
    fn o3_one_address_holds_half_of_the_connections_unless_it_is_said() {
        let share = |flags: &[&str]| {
            let config = check(flags).map_err(|wrong| wrong.to_string()).expect("valid");
            config.requests.connections_per_address_max
        };
        assert_eq!(share(&[]), 12_500);
        assert_eq!(share(&["--ws-max-connections", "100", "--max-connections", "301"]), 151);
        assert_eq!(share(&["--max-connections-per-address", "7"]), 7);
    }

    #[test]
    fn o3_rates_are_limited_when_asked_for() {
        let rate = |flags: &[&str]| check(flags).map_err(|wrong| wrong.to_string()).expect("valid").rate;
        assert_eq!(rate(&[]), None);
        let some = rate(&["--rate-limit-max-requests", "10", "--rate-limit-window", "250"]).expect("limits");
        assert_eq!((some.requests_max.get(), some.window.as_millis()), (10, 250));
    }
}
