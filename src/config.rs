//! Configuration: environment variables, each also a flag, checked all at once (rule O4).
//!
//! `.env.example` lists them with their defaults. What is given and can't be honoured is refused,
//! never ignored: a server that only looks protected is worse than one that does not start.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;

use crate::{
    auth::{Auth, Keys, KeysConfig},
    domain::Limits,
    http::{BODY_BYTES_MAX, Origin, Origins, SocketConfig},
    project::ProjectorConfig,
    store::{embedded, redis},
};

/// The settings as they were given. All are text here, so that every mistake can be told at once.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings (each also an environment variable)")]
pub struct Settings {
    /// Address to listen on. Anything but loopback needs keys, or --insecure-no-auth
    #[arg(long, env = "HOST", global = true, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, env = "PORT", global = true, value_name = "PORT", default_value = "3000")]
    port: String,
    /// Where the embedded store keeps its file, when no Redis is named
    #[arg(long, env = "DATA_DIR", global = true, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// When the embedded store calls a commit durable: `fsync` (before it is acknowledged) or
    /// `interval` (a power cut can take the last second)
    #[arg(long, env = "DURABILITY", global = true, value_name = "MODE", default_value = "fsync")]
    durability: String,
    /// Keep histories in this Redis instead of the embedded store, e.g. redis://localhost:6379
    #[arg(long, env = "REDIS_URL", global = true, value_name = "URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// The same in parts: the host
    #[arg(long, env = "REDIS_HOST", global = true, value_name = "HOST")]
    redis_host: Option<String>,
    /// The port; 6379 by default
    #[arg(long, env = "REDIS_PORT", global = true, value_name = "PORT")]
    redis_port: Option<String>,
    /// The password
    #[arg(long, env = "REDIS_PASSWORD", global = true, value_name = "PASSWORD", hide_env_values = true)]
    redis_password: Option<String>,
    /// The database number; 0 by default
    #[arg(long, env = "REDIS_DB", global = true, value_name = "N")]
    redis_db: Option<String>,
    /// Into how many slots graphs are spread; fixed when a Redis is first used, 64 by default
    #[arg(long, env = "PARTITIONS", global = true, value_name = "N")]
    partitions: Option<String>,
    /// For how long, at least, a repeated operation id is recognised
    #[arg(long, env = "OPERATION_TTL", global = true, value_name = "TIME", default_value = "24h")]
    operation_ttl: String,
    /// How long a graph that nobody asks for stays in memory
    #[arg(long, env = "CACHE_TTL", global = true, value_name = "TIME", default_value = "5m")]
    cache_ttl: String,
    /// How many graphs are kept in memory at once
    #[arg(long, env = "MAX_HOT_GRAPHS", global = true, value_name = "N", default_value = "10000")]
    max_hot_graphs: String,
    /// Largest request body
    #[arg(long, env = "MAX_BODY_BYTES", global = true, value_name = "BYTES", default_value_t = BODY_BYTES_MAX.to_string())]
    max_body_bytes: String,
    /// Largest node or edge, as JSON
    #[arg(long, env = "MAX_ENTITY_BYTES", global = true, value_name = "BYTES", default_value = "262144")]
    max_entity_bytes: String,
    /// Most nodes in one graph
    #[arg(long, env = "MAX_NODES", global = true, value_name = "N", default_value = "100000")]
    max_nodes: String,
    /// Most edges in one graph
    #[arg(long, env = "MAX_EDGES", global = true, value_name = "N", default_value = "200000")]
    max_edges: String,
    /// How often sockets are pinged, in milliseconds
    #[arg(long, env = "WS_HEARTBEAT_INTERVAL", global = true, value_name = "MS", default_value = "30000")]
    ws_heartbeat_interval: String,
    /// Most sockets at once
    #[arg(long, env = "WS_MAX_CONNECTIONS", global = true, value_name = "N", default_value = "20000")]
    ws_max_connections: String,
    /// Whether this server also projects: `on`, or `off` where `dao-api worker` does it
    #[arg(long, env = "PROJECTORS", global = true, value_name = "ON|OFF", default_value = "on")]
    projectors: String,
    /// A checkpoint of a graph, for reads of old versions, is kept every so many commits
    #[arg(long, env = "SNAPSHOT_EVERY", global = true, value_name = "N", default_value = "10000")]
    snapshot_every: String,
    /// How long the feed keeps what is projected, for readers of all graphs who come back
    #[arg(long, env = "FEED_RETENTION", global = true, value_name = "TIME", default_value = "7d")]
    feed_retention: String,
    /// The secret of tokens signed with HS256; at least 32 bytes
    #[arg(long, env = "JWT_SECRET", global = true, value_name = "SECRET", hide_env_values = true)]
    jwt_secret: Option<String>,
    /// The public key of tokens signed with RS256, ES256 or EdDSA: PEM text, or a file of it
    #[arg(
        long,
        env = "JWT_PUBLIC_KEY",
        global = true,
        value_name = "PEM|FILE",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    jwt_public_key: Option<String>,
    /// Public keys as a JSON Web Key Set: a file, read again when it changes
    #[arg(long, env = "JWT_JWKS", global = true, value_name = "FILE")]
    jwt_jwks: Option<String>,
    /// Whom tokens must be for: their `aud`
    #[arg(long, env = "JWT_AUDIENCE", global = true, value_name = "NAME")]
    jwt_audience: Option<String>,
    /// Whom tokens must come from: their `iss`
    #[arg(long, env = "JWT_ISSUER", global = true, value_name = "NAME")]
    jwt_issuer: Option<String>,
    /// Pages of which origins may call from a browser: a list like `https://editor.example`, or *
    #[arg(long, env = "CORS_ORIGINS", global = true, value_name = "ORIGINS")]
    cors_origins: Option<String>,
    /// What is logged: error, warn, info, debug or trace, or directives like `dao_api=debug`
    #[arg(long, env = "LOG_LEVEL", global = true, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// Without keys, listen beyond loopback although anybody can then say they are anybody
    #[arg(long, global = true)]
    insecure_no_auth: bool,
}

/// Variables of later releases. Those that protect something stop the start: ignoring them would
/// leave open what somebody meant to close.
const NOT_YET_PROTECTING: [&str; 1] = ["REDIS_MIN_REPLICAS"];

/// What the settings are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To listen at HOST: whoever reaches it must not be able to be anybody.
    Serving,
    /// For anything else, which opens nothing to anybody.
    Other,
}

/// Where histories are kept. Not `Debug`: an address may hold a password.
#[derive(Clone)]
pub enum StoreConfig {
    /// In a file of this machine.
    Embedded(embedded::EmbeddedConfig),
    /// In Redis.
    Redis(redis::RedisConfig),
}

/// The configuration, every part of it valid.
#[derive(Clone)]
pub struct Config {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on.
    pub port: u16,
    /// Where histories are kept.
    pub store: StoreConfig,
    /// Whether callers have to prove who they are.
    pub auth: Auth,
    /// Pages of which origins may call.
    pub origins: Origins,
    /// What a graph may hold.
    pub limits: Limits,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// How sockets are kept.
    pub sockets: SocketConfig,
    /// How long an unused graph stays in memory.
    pub cache_ttl: Duration,
    /// How many graphs stay in memory.
    pub hot_graphs_max: usize,
    /// Whether this process projects beside serving.
    pub projects: bool,
    /// How projectors work.
    pub projector: ProjectorConfig,
    /// What is logged.
    pub log_filter: String,
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl Settings {
    /// Checks everything, and reports every mistake.
    pub fn check(&self, purpose: Purpose) -> Result<Config, ConfigError> {
        let mut wrong = Mistakes::default();
        let host = wrong.note("HOST", parse_host(&self.host));
        let port =
            wrong.note("PORT", self.port.parse().map_err(|_| "must be a port number, 0 to 65535".to_owned()));
        let operation_ttl = wrong.note("OPERATION_TTL", parse_duration(&self.operation_ttl));
        let cache_ttl = wrong.note("CACHE_TTL", parse_duration(&self.cache_ttl));
        let store = self.store(operation_ttl.unwrap_or_default(), &mut wrong);
        let limits = Limits {
            entity_bytes_max: wrong.count("MAX_ENTITY_BYTES", &self.max_entity_bytes),
            nodes_max: wrong.count("MAX_NODES", &self.max_nodes),
            edges_max: wrong.count("MAX_EDGES", &self.max_edges),
        };
        let sockets = SocketConfig {
            heartbeat: Duration::from_millis(
                wrong.count("WS_HEARTBEAT_INTERVAL", &self.ws_heartbeat_interval) as u64,
            ),
            connections_max: wrong.count("WS_MAX_CONNECTIONS", &self.ws_max_connections),
            ..SocketConfig::default()
        };
        let projects = wrong.note(
            "PROJECTORS",
            match self.projectors.as_str() {
                "on" => Ok(true),
                "off" => Ok(false),
                _ => Err("must be on or off".to_owned()),
            },
        );
        let feed_retention = wrong.note("FEED_RETENTION", parse_duration(&self.feed_retention));
        let projector = ProjectorConfig {
            checkpoint_every: wrong.count("SNAPSHOT_EVERY", &self.snapshot_every) as u64,
            feed_retention: feed_retention.unwrap_or_default(),
            ..ProjectorConfig::default()
        };
        let body_bytes_max = wrong.count("MAX_BODY_BYTES", &self.max_body_bytes);
        let hot_graphs_max = wrong.count("MAX_HOT_GRAPHS", &self.max_hot_graphs);
        if tracing_subscriber::EnvFilter::try_new(&self.log_level).is_err() {
            wrong.0.push(format!("LOG_LEVEL: {:?} is no level and no directive", self.log_level));
        }
        let auth = self.auth(&mut wrong);
        let origins =
            wrong.note("CORS_ORIGINS", parse_origins(self.cors_origins.as_deref().unwrap_or_default()));
        self.refuse_unprotected(host.filter(|_| purpose == Purpose::Serving), &mut wrong);
        match (host, port, store, cache_ttl, auth, wrong.0.is_empty()) {
            (Some(host), Some(port), Some(store), Some(cache_ttl), Some(auth), true) => Ok(Config {
                host,
                port,
                store,
                auth,
                origins: origins.unwrap_or_default(),
                limits,
                body_bytes_max,
                sockets,
                cache_ttl,
                hot_graphs_max,
                projects: projects.unwrap_or(true),
                projector,
                log_filter: self.log_level.clone(),
            }),
            _ => Err(ConfigError(wrong.0)),
        }
    }

    /// `None` if a key can't be used.
    fn auth(&self, wrong: &mut Mistakes) -> Option<Auth> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let keys = KeysConfig {
            secret: given(&self.jwt_secret),
            public_key: given(&self.jwt_public_key),
            jwks: given(&self.jwt_jwks).map(PathBuf::from),
            audience: given(&self.jwt_audience),
            issuer: given(&self.jwt_issuer),
        };
        if !self.has_keys() {
            if keys.audience.is_some() || keys.issuer.is_some() {
                wrong.0.push(
                    "JWT_AUDIENCE, JWT_ISSUER: there is no key to check tokens with: set JWT_SECRET, \
                     JWT_PUBLIC_KEY or JWT_JWKS"
                        .to_owned(),
                );
            }
            return Some(Auth::Off);
        }
        match Keys::load(keys) {
            Ok(keys) => Some(Auth::Keys(Arc::new(keys))),
            Err(problems) => {
                wrong.0.extend(problems.into_iter().map(|(name, problem)| format!("{name}: {problem}")));
                None
            }
        }
    }

    fn has_keys(&self) -> bool {
        [&self.jwt_secret, &self.jwt_public_key, &self.jwt_jwks]
            .iter()
            .any(|given| given.as_deref().is_some_and(|text| !text.is_empty()))
    }

    /// The address is that of a server, or none.
    fn refuse_unprotected(&self, host: Option<IpAddr>, wrong: &mut Mistakes) {
        for name in NOT_YET_PROTECTING {
            if std::env::var_os(name).is_some_and(|value| !value.is_empty()) {
                wrong.0.push(format!(
                    "{name}: this release does not support it yet, and ignoring it would be unsafe: unset it"
                ));
            }
        }
        if host.is_some_and(|host| !host.is_loopback()) && !self.has_keys() && !self.insecure_no_auth {
            wrong.0.push(format!(
                "HOST: {} is not loopback and no keys are configured, so anybody could be anybody: \
                 set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS, use 127.0.0.1, or accept it with --insecure-no-auth",
                self.host
            ));
        }
    }

    fn store(&self, operation_ttl: Duration, wrong: &mut Mistakes) -> Option<StoreConfig> {
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

#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn note<T>(&mut self, name: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|problem| self.0.push(format!("{name}: {problem}"))).ok()
    }

    fn count(&mut self, name: &str, text: &str) -> usize {
        let parsed = text.parse().ok().filter(|n| *n > 0);
        self.note(name, parsed.ok_or_else(|| "must be an integer above 0".to_owned())).unwrap_or_default()
    }
}

fn parse_host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(IpAddr::from([127, 0, 0, 1]));
    }
    text.parse()
        .map_err(|_| format!("{text:?} is no IP address; 127.0.0.1, 0.0.0.0 and :: are the usual ones"))
}

/// `*`, or origins with commas between them; nothing for none.
fn parse_origins(text: &str) -> Result<Origins, String> {
    match text.trim() {
        "" => Ok(Origins::Own),
        "*" => Ok(Origins::Any),
        listed => {
            let origin = |text: &str| {
                Origin::parse(text.trim()).ok_or_else(|| {
                    format!("{text:?} is no origin as browsers write it, like https://editor.example or http://localhost:5173")
                })
            };
            listed.split(',').map(origin).collect::<Result<_, _>>().map(Origins::Listed)
        }
    }
}

fn parse_redis_url(text: &str) -> Result<String, String> {
    let schemes = ["redis://", "redis-cluster://"];
    if schemes.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
        return Ok(text.to_owned());
    }
    Err("must be redis://host:port or redis-cluster://host:port".to_owned())
}

/// A time with its unit: `250ms`, `90s`, `5m`, `24h` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("{text:?} is no time with a unit above 0, like 250ms, 90s, 5m, 24h or 7d");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| problem())?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(problem()),
    };
    number.checked_mul(unit_ms).filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(problem)
}

/// A password inside a URL (RFC 3986, 2.1).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn check(flags: &[&str]) -> Result<Config, ConfigError> {
        Line::parse_from([&["dao-api"], flags].concat()).settings.check(Purpose::Serving)
    }

    #[test]
    fn o4_all_mistakes_are_reported_at_once() {
        let wrong =
            check(&["--port", "x", "--operation-ttl", "24", "--max-nodes", "0", "--durability", "no"]);
        let text = wrong.err().expect("four mistakes").to_string();
        for name in ["PORT", "OPERATION_TTL", "MAX_NODES", "DURABILITY"] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }

    #[test]
    fn o2_beyond_loopback_needs_keys_or_the_word() {
        assert!(check(&["--host", "0.0.0.0"]).is_err());
        assert!(check(&["--host", "0.0.0.0", "--insecure-no-auth"]).is_ok());
        assert!(check(&["--host", "::1"]).is_ok());
        let secret = "0123456789abcdef0123456789abcdef";
        assert!(check(&["--host", "0.0.0.0", "--jwt-secret", secret]).is_ok());
    }

    #[test]
    fn o2_what_opens_nothing_may_name_any_host() {
        let line = Line::parse_from(["dao-api", "--host", "0.0.0.0"]);
        assert!(line.settings.check(Purpose::Other).is_ok());
    }

    #[test]
    fn o1_keys_that_protect_nothing_are_refused() {
        let mistakes = [
            (["--jwt-secret", "0123456789abcdef0123456789abcde"], "JWT_SECRET"),
            (["--jwt-public-key", "/nowhere/key.pem"], "JWT_PUBLIC_KEY"),
            (
                ["--jwt-public-key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"],
                "JWT_PUBLIC_KEY",
            ),
            (["--jwt-public-key", "-----BEGIN PRIVATE KEY-----"], "private"),
            (["--jwt-jwks", "https://issuer.invalid/jwks.json"], "JWT_JWKS"),
            (["--jwt-audience", "us"], "JWT_AUDIENCE"),
        ];
        for (flags, place) in mistakes {
            let text = check(&flags).err().expect(place).to_string();
            assert!(text.contains(place), "{place} in {text}");
        }
    }

    #[test]
    fn o4_redis_in_parts_is_a_url() {
        let config = check(&["--redis-host", "db", "--redis-password", "p@ss/w", "--redis-db", "2"]);
        let url = match config.map(|config| config.store) {
            Ok(StoreConfig::Redis(redis)) => redis.url,
            _ => String::new(),
        };
        assert_eq!(url, "redis://:p%40ss%2Fw@db:6379/2");
    }

    #[test]
    fn o4_origins_are_written_as_browsers_write_them() {
        assert_eq!(parse_origins(""), Ok(Origins::Own));
        assert_eq!(parse_origins(" * "), Ok(Origins::Any));
        let two = parse_origins("https://editor.example, http://localhost:5173");
        assert!(matches!(two, Ok(Origins::Listed(listed)) if listed.len() == 2));
        for bad in [
            "editor.example",
            "https://editor.example/",
            "https://Editor.example",
            "https://editor.example:443",
            "https://*.example",
            "https://",
            "null",
            "*,https://editor.example",
            "https://editor.example,",
        ] {
            assert!(parse_origins(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn o4_times_have_units() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "90", "s", "0s", "1.5h", "-1s", "99999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
