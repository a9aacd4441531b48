//! Configuration: environment variables, each also a flag, checked all at once (rule O4).
//!
//! `.env.example` lists them with their defaults. A setting that can't be honoured is refused, never ignored: a server
//! that only looks protected is worse than one that does not start.

mod access;
#[cfg(test)]
mod documented;
mod parse;
mod requests;
mod settings;
mod store;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use dao_projections::LabelName;
pub(crate) use parse::parse_duration;
use parse::{
    parse_collector, parse_docs, parse_host, parse_labels, parse_origins, parse_retention, parse_switch,
};
pub use settings::Settings;
pub use store::StoreConfig;

use crate::{
    auth::Auth,
    domain::{AutoCreate, Limits},
    http::{
        ConsoleRoute, DocsAccess, MetricsRoute, Origins, Proxies, RateConfig, RequestLimits, SocketConfig,
    },
    project::ProjectorConfig,
};

/// The purpose for which the settings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve at HOST: callers must not be able to impersonate any user.
    Serving,
    /// For any other command, which opens no port.
    Other,
}

/// The validated configuration.
#[derive(Clone)]
pub struct Config {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on.
    pub port: u16,
    /// The store of the histories.
    pub store: StoreConfig,
    /// How callers authenticate.
    pub auth: Auth,
    /// The origins whose pages may call.
    pub origins: Origins,
    /// The size limits of a graph.
    pub limits: Limits,
    /// The labels that need the right `admin`.
    pub protected_labels: Arc<[LabelName]>,
    /// The limits of requests and connections.
    pub requests: RequestLimits,
    /// The rate limit per caller; `None` for no limit.
    pub rate: Option<RateConfig>,
    /// The proxies whose X-Forwarded-For is trusted.
    pub proxies: Proxies,
    /// The settings of sockets.
    pub sockets: SocketConfig,
    /// How long an unused graph stays in memory.
    pub cache_ttl: Duration,
    /// The most graphs in memory.
    pub hot_graphs_max: usize,
    /// The most bytes that graphs in memory may take.
    pub hot_bytes_max: usize,
    /// Whether this process also runs the projections.
    pub projects: bool,
    /// The settings of projectors.
    pub projector: ProjectorConfig,
    /// The filter of the log.
    pub log_filter: String,
    /// The format of the log.
    pub log_format: LogFormat,
    /// The collector that gets the traces, if any.
    pub traces_to: Option<String>,
    /// Whether `GET /metrics` is served.
    pub metrics: MetricsRoute,
    /// Who may see the OpenAPI document and its viewer.
    pub docs: DocsAccess,
    /// Whether the web console is served.
    pub console: ConsoleRoute,
    /// The address of the console, where it is not on the port of the server.
    pub console_listen: Option<SocketAddr>,
    /// The address of a worker's health checks and metrics.
    pub worker_listen: Option<SocketAddr>,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
    /// Text on a terminal, JSON in a file or a pipe.
    Auto,
}

/// All mistakes in the settings, one per line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl Settings {
    /// What may be done to any graph.
    fn limits(&self, wrong: &mut Mistakes) -> Limits {
        let retention = wrong.note("TRASH_RETENTION", parse_retention(&self.trash_retention)).flatten();
        let creates = wrong.note("AUTO_CREATE", parse_switch(&self.auto_create)).unwrap_or(true);
        Limits {
            entity_bytes_max: wrong.count("MAX_ENTITY_BYTES", &self.max_entity_bytes),
            nodes_max: wrong.count("MAX_NODES", &self.max_nodes),
            edges_max: wrong.count("MAX_EDGES", &self.max_edges),
            auto_create: if creates { AutoCreate::On } else { AutoCreate::Off },
            trash_retention_ms: retention.map(|time| time.as_millis() as u64),
        }
    }
}

impl Settings {
    /// Checks everything, and reports every mistake.
    #[expect(
        clippy::too_many_lines,
        reason = "one line for each setting, so that all mistakes are told at once"
    )]
    pub fn check(&self, purpose: Purpose) -> Result<Config, ConfigError> {
        let mut wrong = Mistakes::default();
        let host = wrong.note("HOST", parse_host(&self.host));
        let port =
            wrong.note("PORT", self.port.parse().map_err(|_| "must be a port number, 0 to 65535".to_owned()));
        let operation_ttl = wrong.note("OPERATION_TTL", parse_duration(&self.operation_ttl));
        let cache_ttl = wrong.note("CACHE_TTL", parse_duration(&self.cache_ttl));
        let store = self.store(operation_ttl.unwrap_or_default(), &mut wrong);
        let limits = self.limits(&mut wrong);
        let protected_labels = wrong.note("LABELS_ADMIN", parse_labels(&self.labels_admin));
        let sockets = SocketConfig {
            heartbeat: Duration::from_millis(
                wrong.count("WS_HEARTBEAT_INTERVAL", &self.ws_heartbeat_interval) as u64,
            ),
            connections_max: wrong.count("WS_MAX_CONNECTIONS", &self.ws_max_connections),
            operation_ttl: operation_ttl.unwrap_or_default(),
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
        let worker_listen = self.worker_listen(&mut wrong);
        let requests = self.requests(&sockets, &mut wrong);
        let rate = self.rate(&mut wrong);
        let proxies = Proxies::parse(self.trusted_proxies.as_deref().unwrap_or_default());
        let proxies = wrong.note("TRUSTED_PROXIES", proxies).unwrap_or_default();
        let hot_graphs_max = wrong.count("MAX_HOT_GRAPHS", &self.max_hot_graphs);
        let hot_bytes_max = wrong.count("MAX_HOT_BYTES", &self.max_hot_bytes);
        if tracing_subscriber::EnvFilter::try_new(&self.log_level).is_err() {
            wrong.0.push(format!("LOG_LEVEL: {:?} is not a level or a directive", self.log_level));
        }
        let log_format = wrong.note(
            "LOG_FORMAT",
            match self.log_format.as_str() {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                "auto" => Ok(LogFormat::Auto),
                _ => Err("must be text, json or auto".to_owned()),
            },
        );
        let given = self.otel_exporter_otlp_endpoint.clone().filter(|url| !url.is_empty());
        let traces_to = given.and_then(|url| wrong.note("OTEL_EXPORTER_OTLP_ENDPOINT", parse_collector(url)));
        let metrics = match wrong.note("METRICS_ENABLED", parse_switch(&self.metrics_enabled)) {
            Some(false) => MetricsRoute::Off,
            Some(true) | None => MetricsRoute::On,
        };
        let docs = wrong.note("DOCS", parse_docs(&self.docs));
        let console = match wrong.note("CONSOLE", parse_switch(&self.console)) {
            Some(false) => ConsoleRoute::Off,
            Some(true) | None => ConsoleRoute::On,
        };
        let console_listen = self.console_listen(console, &mut wrong);
        let auth = self.auth(purpose, &mut wrong);
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
                protected_labels: protected_labels.unwrap_or_default(),
                requests,
                rate,
                proxies,
                sockets,
                cache_ttl,
                hot_graphs_max,
                hot_bytes_max,
                projects: projects.unwrap_or(true),
                projector,
                log_filter: self.log_level.clone(),
                log_format: log_format.unwrap_or(LogFormat::Auto),
                traces_to,
                metrics,
                docs: docs.unwrap_or_default(),
                console,
                console_listen,
                worker_listen,
            }),
            _ => Err(ConfigError(wrong.0)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    pub(super) fn check(flags: &[&str]) -> Result<Config, ConfigError> {
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
    fn o2_beyond_loopback_needs_keys_or_the_flag() {
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
            (["--jwt-jwks", "http://issuer.invalid/jwks.json"], "https://"),
            (["--jwt-jwks", "http://127.0.0.1:1/jwks.json"], "JWT_JWKS"),
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
    fn o4_a_switch_takes_the_usual_words() {
        for (text, shown) in [("on", MetricsRoute::On), ("TRUE", MetricsRoute::On), ("0", MetricsRoute::Off)]
        {
            let config = check(&["--metrics-enabled", text]);
            assert_eq!(config.map(|config| config.metrics).ok(), Some(shown), "{text}");
        }
        for (flag, name) in [("--metrics-enabled", "METRICS_ENABLED"), ("--log-format", "LOG_FORMAT")] {
            let text = check(&[flag, "yes!"]).err().expect(flag).to_string();
            assert!(text.contains(name), "{name} in {text}");
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
