//! Where histories are kept: the embedded store, or Redis by its address or in parts.

use std::time::Duration;

use super::{Mistakes, Settings};
use crate::store::{embedded, redis};

/// Where histories are kept. Not `Debug`: an address may hold a password.
#[derive(Clone)]
pub enum StoreConfig {
    /// In a file of this machine.
    Embedded(embedded::EmbeddedConfig),
    /// In Redis.
    Redis(redis::RedisConfig),
}

impl Settings {
    pub(super) fn store(&self, operation_ttl: Duration, wrong: &mut Mistakes) -> Option<StoreConfig> {
        let durability = wrong.note(
            "DURABILITY",
            match self.durability.as_str() {
                "fsync" => Ok(embedded::Sync::Fsync),
                "interval" => Ok(embedded::Sync::Interval),
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
            (Some(url), None) => wrong.note("REDIS_URL", parse_redis_url(&url)),
            (None, Some(host)) => self.redis_url_of_parts(&host, wrong),
            (Some(_), Some(_)) => {
                wrong.0.push("REDIS_URL: give it or REDIS_HOST, not both".to_owned());
                None
            }
            (None, None) => {
                let dir = self.data_dir.clone();
                return Some(StoreConfig::Embedded(embedded::EmbeddedConfig {
                    dir,
                    durability: durability?,
                    operation_ttl,
                }));
            }
        };
        Some(StoreConfig::Redis(redis::RedisConfig { url: url?, partitions, operation_ttl }))
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

fn parse_redis_url(text: &str) -> Result<String, String> {
    let schemes = ["redis://", "redis-cluster://"];
    if schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
        return Ok(text.to_owned());
    }
    Err("must be redis://host:port or redis-cluster://host:port".to_owned())
}
/// A password inside a URL (RFC 3986, 2.1).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
