//! The store settings: the embedded store, or Redis by its address or in parts.

use std::{path::PathBuf, time::Duration};

use super::{Mistakes, Settings};
use crate::store::{embedded, redis};

/// The store of the histories. Not `Debug`: an address may have a password.
#[derive(Clone)]
pub enum StoreConfig {
    /// The embedded store, a file on this machine.
    Embedded(embedded::EmbeddedConfig),
    /// Redis.
    Redis(redis::RedisConfig),
}

impl Settings {
    pub(super) fn store(&self, operation_ttl: Duration, wrong: &mut Mistakes) -> Option<StoreConfig> {
        let durability = wrong.note(
            "DURABILITY",
            match self.durability.as_str() {
                "fsync" => Ok(embedded::SyncMode::Fsync),
                "interval" => Ok(embedded::SyncMode::Interval),
                _ => Err("must be fsync or interval".to_owned()),
            },
        );
        let partitions = match self.partitions.as_deref() {
            None | Some("") => None,
            Some(text) => wrong.note(
                "PARTITIONS",
                text.parse::<u32>()
                    .ok()
                    .filter(|n| (1..=16_384).contains(n))
                    .ok_or_else(|| "must be an integer from 1 to 16384".to_owned()),
            ),
        };
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let url = match (given(&self.redis_url), given(&self.redis_host)) {
            (Some(url), None) => Some(url),
            (None, Some(host)) => self.redis_url_of_parts(&host, wrong),
            (Some(_), Some(_)) => {
                wrong.0.push("REDIS_URL: set it or REDIS_HOST, not both".to_owned());
                None
            }
            (None, None) => {
                self.refuse_without_redis(wrong);
                let dir = self.data_dir.clone();
                return Some(StoreConfig::Embedded(embedded::EmbeddedConfig {
                    dir,
                    durability: durability?,
                    operation_ttl,
                }));
            }
        };
        let tls = redis::TlsFiles {
            ca: given(&self.redis_tls_ca).map(PathBuf::from),
            certificate: given(&self.redis_tls_cert).map(PathBuf::from),
            key: given(&self.redis_tls_key).map(PathBuf::from),
        };
        let sentinel_password = given(&self.redis_sentinel_password);
        let min_replicas = wrong.note("REDIS_MIN_REPLICAS", min_replicas(&self.redis_min_replicas));
        let config = redis::RedisConfig {
            url: url?,
            tls,
            sentinel_password,
            partitions,
            operation_ttl,
            min_replicas: min_replicas.unwrap_or_default(),
        };
        let mistakes = config.mistakes();
        let is_right = mistakes.is_empty();
        wrong.0.extend(mistakes.into_iter().map(|(name, problem)| format!("{name}: {problem}")));
        (is_right && min_replicas.is_some()).then_some(StoreConfig::Redis(config))
    }

    /// Refuses settings that would have no effect without Redis.
    fn refuse_without_redis(&self, wrong: &mut Mistakes) {
        let given = [
            ("REDIS_MIN_REPLICAS", &self.redis_min_replicas),
            ("REDIS_TLS_CA", &self.redis_tls_ca),
            ("REDIS_TLS_CERT", &self.redis_tls_cert),
            ("REDIS_TLS_KEY", &self.redis_tls_key),
        ];
        for (name, text) in given {
            if text.as_deref().is_some_and(|text| !matches!(text, "" | "0")) {
                wrong.0.push(format!("{name}: it has no effect without Redis: set REDIS_URL, or unset it"));
            }
        }
    }

    fn redis_url_of_parts(&self, host: &str, wrong: &mut Mistakes) -> Option<String> {
        let number =
            |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
        let port = number(&self.redis_port, "6379");
        let port =
            wrong.note("REDIS_PORT", port.parse::<u16>().map_err(|_| "must be a port number".to_owned()));
        let db = number(&self.redis_db, "0");
        let db = wrong.note("REDIS_DB", db.parse::<u8>().map_err(|_| "must be a database number".to_owned()));
        let secret = match &self.redis_password {
            Some(password) if !password.is_empty() => format!(":{}@", percent_encoded(password)),
            _ => String::new(),
        };
        Some(format!("redis://{secret}{host}:{}/{}", port?, db?))
    }
}

/// The most replicas to wait for: a larger number is a typing mistake.
const MIN_REPLICAS_MAX: u32 = 100;

fn min_replicas(text: &Option<String>) -> Result<u32, String> {
    match text.as_deref() {
        None | Some("") => Ok(0),
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| *n <= MIN_REPLICAS_MAX)
            .ok_or_else(|| format!("must be a number of replicas, 0 to {MIN_REPLICAS_MAX}")),
    }
}

/// Percent-encodes a password for a URL (RFC 3986, 2.1).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
