//! The settings as they are given: one field for each variable, which is a flag too, and what
//! `--help` says of it. Checking them is next door.

use std::path::PathBuf;

use clap::Args;

use crate::http::BODY_BYTES_MAX;

/// The settings as given. All are text here, so that all mistakes can be reported at once.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings (each also an environment variable)")]
pub struct Settings {
    /// Address to listen on. Anything but loopback needs keys, or --insecure-no-auth
    #[arg(long, env = "HOST", global = true, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(super) host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, env = "PORT", global = true, value_name = "PORT", default_value = "3000")]
    pub(super) port: String,
    /// Directory of the embedded store, if no Redis is set
    #[arg(long, env = "DATA_DIR", global = true, value_name = "DIR", default_value = "data")]
    pub(super) data_dir: PathBuf,
    /// When the embedded store writes a commit to disk: `fsync` (before it is acknowledged) or `interval` (a power cut
    /// can lose the last second)
    #[arg(long, env = "DURABILITY", global = true, value_name = "MODE", default_value = "fsync")]
    pub(super) durability: String,
    /// Use this Redis instead of the embedded store, e.g. redis://localhost:6379; also redis-cluster://,
    /// redis-sentinel://, redis+unix://, and rediss for TLS
    #[arg(long, env = "REDIS_URL", global = true, value_name = "URL", hide_env_values = true)]
    pub(super) redis_url: Option<String>,
    /// Redis in parts, instead of REDIS_URL: the host
    #[arg(long, env = "REDIS_HOST", global = true, value_name = "HOST")]
    pub(super) redis_host: Option<String>,
    /// Redis in parts: the port; 6379 by default
    #[arg(long, env = "REDIS_PORT", global = true, value_name = "PORT")]
    pub(super) redis_port: Option<String>,
    /// Redis in parts: the password
    #[arg(long, env = "REDIS_PASSWORD", global = true, value_name = "PASSWORD", hide_env_values = true)]
    pub(super) redis_password: Option<String>,
    /// Redis in parts: the database number; 0 by default
    #[arg(long, env = "REDIS_DB", global = true, value_name = "N")]
    pub(super) redis_db: Option<String>,
    /// Password of the sentinels, if they have one
    #[arg(
        long,
        env = "REDIS_SENTINEL_PASSWORD",
        global = true,
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub(super) redis_sentinel_password: Option<String>,
    /// With rediss://: PEM file of certificate authorities to trust instead of the system's
    #[arg(long, env = "REDIS_TLS_CA", global = true, value_name = "FILE")]
    pub(super) redis_tls_ca: Option<String>,
    /// With rediss://: PEM file of the client certificate, if Redis asks for one
    #[arg(long, env = "REDIS_TLS_CERT", global = true, value_name = "FILE")]
    pub(super) redis_tls_cert: Option<String>,
    /// PEM file of the key of that certificate
    #[arg(long, env = "REDIS_TLS_KEY", global = true, value_name = "FILE")]
    pub(super) redis_tls_key: Option<String>,
    /// Replicas that must have a commit before it is acknowledged, beside the primary; 0 by default
    #[arg(long, env = "REDIS_MIN_REPLICAS", global = true, value_name = "N")]
    pub(super) redis_min_replicas: Option<String>,
    /// Slots that graphs are spread over; fixed when a Redis is first used, 64 by default
    #[arg(long, env = "PARTITIONS", global = true, value_name = "N")]
    pub(super) partitions: Option<String>,
    /// How long, at least, a repeated operation id is recognised
    #[arg(long, env = "OPERATION_TTL", global = true, value_name = "TIME", default_value = "24h")]
    pub(super) operation_ttl: String,
    /// How long an unused graph stays in memory
    #[arg(long, env = "CACHE_TTL", global = true, value_name = "TIME", default_value = "5m")]
    pub(super) cache_ttl: String,
    /// Most graphs in memory at once
    #[arg(long, env = "MAX_HOT_GRAPHS", global = true, value_name = "N", default_value = "10000")]
    pub(super) max_hot_graphs: String,
    /// Most bytes of graphs in memory, about; 768 MiB by default
    #[arg(long, env = "MAX_HOT_BYTES", global = true, value_name = "BYTES", default_value = "805306368")]
    pub(super) max_hot_bytes: String,
    /// Largest request body
    #[arg(long, env = "MAX_BODY_BYTES", global = true, value_name = "BYTES", default_value_t = BODY_BYTES_MAX.to_string())]
    pub(super) max_body_bytes: String,
    /// Most bytes of all request bodies in flight
    #[arg(long, env = "MAX_BODIES_BYTES", global = true, value_name = "BYTES", default_value = "67108864")]
    pub(super) max_bodies_bytes: String,
    /// Most levels of nested objects and arrays in a request or message
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
    /// Whether a first command creates its graph: `on`, or `off` if only CREATE_GRAPH does
    #[arg(long, env = "AUTO_CREATE", global = true, value_name = "ON|OFF", default_value = "on")]
    pub(super) auto_create: String,
    /// How long a graph stays in the trash before it may be purged; `off` for ever
    #[arg(long, env = "TRASH_RETENTION", global = true, value_name = "TIME", default_value = "30d")]
    pub(super) trash_retention: String,
    /// Labels that need the right `admin` to be set or removed: names separated by commas
    #[arg(long, env = "LABELS_ADMIN", global = true, value_name = "NAMES", default_value = "published")]
    pub(super) labels_admin: String,
    /// How often sockets are pinged, in milliseconds
    #[arg(long, env = "WS_HEARTBEAT_INTERVAL", global = true, value_name = "MS", default_value = "30000")]
    pub(super) ws_heartbeat_interval: String,
    /// Most sockets and streams at once
    #[arg(long, env = "WS_MAX_CONNECTIONS", global = true, value_name = "N", default_value = "20000")]
    pub(super) ws_max_connections: String,
    /// Most connections at once, sockets and streams among them; WS_MAX_CONNECTIONS and 5000 more by default
    #[arg(long, env = "MAX_CONNECTIONS", global = true, value_name = "N")]
    pub(super) max_connections: Option<String>,
    /// Most connections from one address, but for TRUSTED_PROXIES; half of MAX_CONNECTIONS by default
    #[arg(long, env = "MAX_CONNECTIONS_PER_ADDRESS", global = true, value_name = "N")]
    pub(super) max_connections_per_address: Option<String>,
    /// Most bytes of all answers in flight, without those below 64 KiB
    #[arg(long, env = "MAX_ANSWERS_BYTES", global = true, value_name = "BYTES", default_value = "134217728")]
    pub(super) max_answers_bytes: String,
    /// How long a request's head may take, and how long a connection may be idle
    #[arg(long, env = "HEAD_TIMEOUT", global = true, value_name = "TIME", default_value = "30s")]
    pub(super) head_timeout: String,
    /// How long a request's body may stall
    #[arg(long, env = "BODY_IDLE_TIMEOUT", global = true, value_name = "TIME", default_value = "10s")]
    pub(super) body_idle_timeout: String,
    /// How long a request's whole body may take
    #[arg(long, env = "BODY_TIMEOUT", global = true, value_name = "TIME", default_value = "60s")]
    pub(super) body_timeout: String,
    /// How long a reader of an answer or a stream may stall
    #[arg(long, env = "ANSWER_IDLE_TIMEOUT", global = true, value_name = "TIME", default_value = "30s")]
    pub(super) answer_idle_timeout: String,
    /// The window of RATE_LIMIT_MAX_REQUESTS, in milliseconds
    #[arg(long, env = "RATE_LIMIT_WINDOW", global = true, value_name = "MS", default_value = "60000")]
    pub(super) rate_limit_window: String,
    /// Most requests of a user in that window, frames of sockets included; 0 for no limit
    #[arg(long, env = "RATE_LIMIT_MAX_REQUESTS", global = true, value_name = "N", default_value = "0")]
    pub(super) rate_limit_max_requests: String,
    /// Proxies whose X-Forwarded-For is trusted: addresses and networks
    #[arg(long, env = "TRUSTED_PROXIES", global = true, value_name = "LIST")]
    pub(super) trusted_proxies: Option<String>,
    /// Whether this server also runs the projections: `on`, or `off` if `dao-api worker` does
    #[arg(long, env = "PROJECTORS", global = true, value_name = "ON|OFF", default_value = "on")]
    pub(super) projectors: String,
    /// Address on which `dao-api worker` serves /healthz, /readyz and /metrics; none by default
    #[arg(long, env = "WORKER_LISTEN", global = true, value_name = "ADDRESS:PORT")]
    pub(super) worker_listen: Option<String>,
    /// Commits between checkpoints of a graph, for reads of old versions
    #[arg(long, env = "SNAPSHOT_EVERY", global = true, value_name = "N", default_value = "10000")]
    pub(super) snapshot_every: String,
    /// How long the feed of all graphs keeps projected commits, for readers that reconnect
    #[arg(long, env = "FEED_RETENTION", global = true, value_name = "TIME", default_value = "7d")]
    pub(super) feed_retention: String,
    /// Secret for tokens signed with HS256; at least 32 bytes
    #[arg(long, env = "JWT_SECRET", global = true, value_name = "SECRET", hide_env_values = true)]
    pub(super) jwt_secret: Option<String>,
    /// Public key for tokens signed with RS256, ES256 or EdDSA: PEM text, or a PEM file
    #[arg(
        long,
        env = "JWT_PUBLIC_KEY",
        global = true,
        value_name = "PEM|FILE",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    pub(super) jwt_public_key: Option<String>,
    /// Public keys as a JSON Web Key Set: a file or an https:// URL; both are read again when they change
    #[arg(long, env = "JWT_JWKS", global = true, value_name = "FILE|URL")]
    pub(super) jwt_jwks: Option<String>,
    /// Required audience of tokens (`aud`)
    #[arg(long, env = "JWT_AUDIENCE", global = true, value_name = "NAME")]
    pub(super) jwt_audience: Option<String>,
    /// Required issuer of tokens (`iss`)
    #[arg(long, env = "JWT_ISSUER", global = true, value_name = "NAME")]
    pub(super) jwt_issuer: Option<String>,
    /// Origins whose pages may call from a browser: a list like `https://editor.example`, or *
    #[arg(long, env = "CORS_ORIGINS", global = true, value_name = "ORIGINS")]
    pub(super) cors_origins: Option<String>,
    /// Log level: error, warn, info, debug or trace, or directives like `dao_api=debug`
    #[arg(long, env = "LOG_LEVEL", global = true, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: String,
    /// Log format: `text`, `json` (one object per line), or `auto` (text on a terminal, JSON otherwise)
    #[arg(long, env = "LOG_FORMAT", global = true, value_name = "FORMAT", default_value = "auto")]
    pub(super) log_format: String,
    /// Send traces to this collector over gRPC; needs a build with `--features otel`
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        global = true,
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) otel_exporter_otlp_endpoint: Option<String>,
    /// Whether `GET /metrics` is served: `on` or `off`
    #[arg(long, env = "METRICS_ENABLED", global = true, value_name = "ON|OFF", default_value = "on")]
    pub(super) metrics_enabled: String,
    /// Who may see `/openapi.json` and `/docs`: `public`, `private` (with keys: callers with a token) or `off`
    #[arg(long, env = "DOCS", global = true, value_name = "MODE", default_value = "public")]
    pub(super) docs: String,
    /// Whether the web console is served at `/console/`: `on` or `off`
    #[arg(long, env = "CONSOLE", global = true, value_name = "ON|OFF", default_value = "on")]
    pub(super) console: String,
    /// Address of the console with everything else beside it; the console is then not on PORT
    #[arg(long, env = "CONSOLE_LISTEN", global = true, value_name = "ADDRESS:PORT")]
    pub(super) console_listen: Option<String>,
    /// Listen beyond loopback without keys: any caller can then impersonate any user
    #[arg(long, global = true)]
    pub(super) insecure_no_auth: bool,
}
