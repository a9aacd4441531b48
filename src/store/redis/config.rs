//! Which Redis it is, and how it is reached.

use std::{path::PathBuf, time::Duration};

use super::address;

/// Where the histories are, and how they are kept. Has no `Debug`: the address can hold a password.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, `redis-cluster://host:port,…`,
    /// `redis-sentinel://host:port,…/service` or `redis+unix:///path`; `rediss` for TLS.
    pub url: String,
    /// What is trusted and shown where the address says TLS.
    pub tls: TlsFiles,
    /// The password of the sentinels, if they have one; that of Redis is in the address.
    pub sentinel_password: Option<String>,
    /// Into how many slots graphs are spread. Fixed at the first start: `None` takes what is
    /// stored, a number must equal it.
    pub partitions: Option<u32>,
    /// How long an operation id is remembered at least; at most twice as long. All instances must
    /// agree on the windows, so the first start fixes it: less is then treated as that, more is refused.
    pub operation_ttl: Duration,
    /// How many replicas must have what is acknowledged, beside the primary. More than the primary has
    /// means that nothing is acknowledged.
    pub min_replicas: u32,
}

impl RedisConfig {
    /// This address, and all else as it is by default.
    pub fn at(url: String, operation_ttl: Duration) -> Self {
        Self {
            url,
            tls: TlsFiles::default(),
            sentinel_password: None,
            partitions: None,
            operation_ttl,
            min_replicas: 0,
        }
    }

    /// Everything that can be known to be wrong before anything is connected to.
    pub fn mistakes(&self) -> Vec<address::Mistake> {
        address::parse(self).err().unwrap_or_default()
    }
}

/// Files in PEM for a connection by TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities to trust, instead of those of this system.
    pub ca: Option<PathBuf>,
    /// This client's own certificate, for a Redis that asks for one.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl TlsFiles {
    /// The variable of a file that is named.
    pub(super) fn first_named(&self) -> Option<&'static str> {
        let named =
            [(&self.ca, "REDIS_TLS_CA"), (&self.certificate, "REDIS_TLS_CERT"), (&self.key, "REDIS_TLS_KEY")];
        named.into_iter().find_map(|(file, name)| file.as_ref().map(|_| name))
    }
}
