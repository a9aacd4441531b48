//! The settings as they are given: one field for each variable, which is a flag too, and what
//! `--help` says of it. Checking them is next door.

use std::path::PathBuf;

use clap::Args;

use crate::http::BODY_BYTES_MAX;

/// The settings as they were given. All are text here, so that every mistake can be told at once.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings (each also an environment variable)")]
pub struct Settings {
    /// Address to listen on. Anything but loopback needs keys, or --insecure-no-auth
    #[arg(long, env = "HOST", global = true, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(super) host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, env = "PORT", global = true, value_name = "PORT", default_value = "3000")]
    pub(super) port: String,
    /// Where the embedded store keeps its file, when no Redis is named
    #[arg(long, env = "DATA_DIR", global = true, value_name = "DIR", default_value = "data")]
    pub(super) data_dir: PathBuf,
    /// When the embedded store calls a commit durable: `fsync` (before it is acknowledged) or
    /// `interval` (a power cut can take the last second)
    #[arg(long, env = "DURABILITY", global = true, value_name = "MODE", default_value = "fsync")]
    pub(super) durability: String,
    /// Keep histories in this Redis instead of the embedded store, e.g. redis://localhost:6379; also
    /// redis-cluster://, redis-sentinel://, redis+unix://, and rediss for TLS
    #[arg(long, env = "REDIS_URL", global = true, value_name = "URL", hide_env_values = true)]
    pub(super) redis_url: Option<String>,
    /// The same in parts: the host
    #[arg(long, env = "REDIS_HOST", global = true, value_name = "HOST")]
    pub(super) redis_host: Option<String>,
    /// The port; 6379 by default
    #[arg(long, env = "REDIS_PORT", global = true, value_name = "PORT")]
    pub(super) redis_port: Option<String>,
    /// The password
    #[arg(long, env = "REDIS_PASSWORD", global = true, value_name = "PASSWORD", hide_env_values = true)]
    pub(super) redis_password: Option<String>,
    /// The database number; 0 by default
    #[arg(long, env = "REDIS_DB", global = true, value_name = "N")]
    pub(super) redis_db: Option<String>,
    /// The password of the sentinels, if they have one of their own
    #[arg(
        long,
        env = "REDIS_SENTINEL_PASSWORD",
        global = true,
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub(super) redis_sentinel_password: Option<String>,
    /// With rediss://: the authorities to trust instead of this system's, a PEM file
    #[arg(long, env = "REDIS_TLS_CA", global = true, value_name = "FILE")]
    pub(super) redis_tls_ca: Option<String>,
    /// With rediss://: this server's own certificate, where Redis asks for one, a PEM file
    #[arg(long, env = "REDIS_TLS_CERT", global = true, value_name = "FILE")]
    pub(super) redis_tls_cert: Option<String>,
    /// The key of that certificate, a PEM file
    #[arg(long, env = "REDIS_TLS_KEY", global = true, value_name = "FILE")]
    pub(super) redis_tls_key: Option<String>,
    /// How many replicas must have what is acknowledged, beside the primary; 0 by default
    #[arg(long, env = "REDIS_MIN_REPLICAS", global = true, value_name = "N")]
    pub(super) redis_min_replicas: Option<String>,
    /// Into how many slots graphs are spread; fixed when a Redis is first used, 64 by default
    #[arg(long, env = "PARTITIONS", global = true, value_name = "N")]
    pub(super) partitions: Option<String>,
    /// For how long, at least, a repeated operation id is recognised
    #[arg(long, env = "OPERATION_TTL", global = true, value_name = "TIME", default_value = "24h")]
    pub(super) operation_ttl: String,
    /// How long a graph that nobody asks for stays in memory
    #[arg(long, env = "CACHE_TTL", global = true, value_name = "TIME", default_value = "5m")]
    pub(super) cache_ttl: String,
    /// How many graphs are kept in memory at once
    #[arg(long, env = "MAX_HOT_GRAPHS", global = true, value_name = "N", default_value = "10000")]
    pub(super) max_hot_graphs: String,
    /// Bytes that graphs in memory may take, about; 768 MiB by default
    #[arg(long, env = "MAX_HOT_BYTES", global = true, value_name = "BYTES", default_value = "805306368")]
    pub(super) max_hot_bytes: String,
    /// Largest request body
    #[arg(long, env = "MAX_BODY_BYTES", global = true, value_name = "BYTES", default_value_t = BODY_BYTES_MAX.to_string())]
    pub(super) max_body_bytes: String,
    /// Bytes of all request bodies that are being received or acted on at once
    #[arg(long, env = "MAX_BODIES_BYTES", global = true, value_name = "BYTES", default_value = "67108864")]
    pub(super) max_bodies_bytes: String,
    /// Most objects and arrays inside each other in a request or message
    #[arg(long, env = "MAX_JSON_DEPTH", global = true, value_name = "N", default_value = "64")]
    pub(super) max_json_depth: String,
    /// Most operations in one batch
    #[arg(long, env = "MAX_BATCH_OPERATIONS", global = true, value_name = "N", default_value = "1000")]
    pub(super) max_batch_operations: String,
    /// Largest node or edge, as JSON
    #[arg(long, env = "MAX_ENTITY_BYTES", global = true, value_name = "BYTES", default_value = "262144")]
    pub(super) max_entity_bytes: String,
    /// Most nodes in one graph
    #[arg(long, env = "MAX_NODES", global = true, value_name = "N", default_value = "100000")]
    pub(super) max_nodes: String,
    /// Most edges in one graph
    #[arg(long, env = "MAX_EDGES", global = true, value_name = "N", default_value = "200000")]
    pub(super) max_edges: String,
    /// How often sockets are pinged, in milliseconds
    #[arg(long, env = "WS_HEARTBEAT_INTERVAL", global = true, value_name = "MS", default_value = "30000")]
    pub(super) ws_heartbeat_interval: String,
    /// Most sockets at once
    #[arg(long, env = "WS_MAX_CONNECTIONS", global = true, value_name = "N", default_value = "20000")]
    pub(super) ws_max_connections: String,
    /// Most connections at once, sockets and streams among them; WS_MAX_CONNECTIONS and 5000 more by default
    #[arg(long, env = "MAX_CONNECTIONS", global = true, value_name = "N")]
    pub(super) max_connections: Option<String>,
    /// Most connections from one address, but for TRUSTED_PROXIES; half of MAX_CONNECTIONS by default
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", global = true, value_name = "N")]
    pub(super) max_connections_per_address: Option<String>,
    /// Bytes of all answers that are being sent at once, but for those below 64 KiB
    #[arg(long, env = "MAX_ANSWERS_BYTES", global = true, value_name = "BYTES", default_value = "134217728")]
    pub(super) max_answers_bytes: String,
    /// How long a request's head may take to come, and a connection wait for one
    #[arg(long, env = "HEAD_TIMEOUT", global = true, value_name = "TIME", default_value = "30s")]
    pub(super) head_timeout: String,
    /// How long a request's body may bring no byte
    #[arg(long, env = "BODY_IDLE_TIMEOUT", global = true, value_name = "TIME", default_value = "10s")]
    pub(super) body_idle_timeout: String,
    /// How long a whole body may take
    #[arg(long, env = "BODY_TIMEOUT", global = true, value_name = "TIME", default_value = "60s")]
    pub(super) body_timeout: String,
    /// How long the reader of an answer or a stream may take no byte of it
    #[arg(long, env = "ANSWER_IDLE_TIMEOUT", global = true, value_name = "TIME", default_value = "30s")]
    pub(super) answer_idle_timeout: String,
    /// The time in which a user may make RATE_LIMIT_MAX_REQUESTS requests, in milliseconds
    #[arg(long, env = "RATE_LIMIT_WINDOW", global = true, value_name = "MS", default_value = "60000")]
    pub(super) rate_limit_window: String,
    /// How many requests a user may make in that time, here and by sockets; 0 for any number
    #[arg(long, env = "RATE_LIMIT_MAX_REQUESTS", global = true, value_name = "N", default_value = "0")]
    pub(super) rate_limit_max_requests: String,
    /// Proxies that are believed when they name a client in X-Forwarded-For: addresses and networks
    #[arg(long, env = "TRUSTED_PROXIES", global = true, value_name = "LIST")]
    pub(super) trusted_proxies: Option<String>,
    /// Whether this server also projects: `on`, or `off` where `dao-api worker` does it
    #[arg(long, env = "PROJECTORS", global = true, value_name = "ON|OFF", default_value = "on")]
    pub(super) projectors: String,
    /// Where `dao-api worker` tells how it is (/healthz, /readyz, /metrics); nowhere unless this is set
    #[arg(long, env = "WORKER_LISTEN", global = true, value_name = "ADDRESS:PORT")]
    pub(super) worker_listen: Option<String>,
    /// A checkpoint of a graph, for reads of old versions, is kept every so many commits
    #[arg(long, env = "SNAPSHOT_EVERY", global = true, value_name = "N", default_value = "10000")]
    pub(super) snapshot_every: String,
    /// How long the feed keeps what is projected, for readers of all graphs who come back
    #[arg(long, env = "FEED_RETENTION", global = true, value_name = "TIME", default_value = "7d")]
    pub(super) feed_retention: String,
    /// The secret of tokens signed with HS256; at least 32 bytes
    #[arg(long, env = "JWT_SECRET", global = true, value_name = "SECRET", hide_env_values = true)]
    pub(super) jwt_secret: Option<String>,
    /// The public key of tokens signed with RS256, ES256 or EdDSA: PEM text, or a file of it
    #[arg(
        long,
        env = "JWT_PUBLIC_KEY",
        global = true,
        value_name = "PEM|FILE",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    pub(super) jwt_public_key: Option<String>,
    /// Public keys as a JSON Web Key Set: a file, or an https:// address; both are looked at again
    #[arg(long, env = "JWT_JWKS", global = true, value_name = "FILE|URL")]
    pub(super) jwt_jwks: Option<String>,
    /// Whom tokens must be for: their `aud`
    #[arg(long, env = "JWT_AUDIENCE", global = true, value_name = "NAME")]
    pub(super) jwt_audience: Option<String>,
    /// Whom tokens must come from: their `iss`
    #[arg(long, env = "JWT_ISSUER", global = true, value_name = "NAME")]
    pub(super) jwt_issuer: Option<String>,
    /// Pages of which origins may call from a browser: a list like `https://editor.example`, or *
    #[arg(long, env = "CORS_ORIGINS", global = true, value_name = "ORIGINS")]
    pub(super) cors_origins: Option<String>,
    /// What is logged: error, warn, info, debug or trace, or directives like `dao_api=debug`
    #[arg(long, env = "LOG_LEVEL", global = true, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: String,
    /// How the log is written: `text` for people, `json` for programs, an object a line; `auto` is text on a
    /// terminal and JSON otherwise
    #[arg(long, env = "LOG_FORMAT", global = true, value_name = "FORMAT", default_value = "auto")]
    pub(super) log_format: String,
    /// Send traces to this collector, over gRPC; needs a program built with `--features otel`
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        global = true,
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) otel_exporter_otlp_endpoint: Option<String>,
    /// Whether `GET /metrics` is there: `on` or `off`
    #[arg(long, env = "METRICS_ENABLED", global = true, value_name = "ON|OFF", default_value = "on")]
    pub(super) metrics_enabled: String,
    /// For whom `/openapi.json` and `/docs` are there: `public`, `private` (with keys, for those with a token) or `off`
    #[arg(long, env = "DOCS", global = true, value_name = "MODE", default_value = "public")]
    pub(super) docs: String,
    /// Without keys, listen beyond loopback: any caller can then impersonate any user
    #[arg(long, global = true)]
    pub(super) insecure_no_auth: bool,
}
