//! Why no store was made: [`ConnectError`].
//!
//! Invariant: each is one line that says what to do, and never holds a password.

use std::time::Duration;

use fred::error::{Error, ErrorKind};

use super::{
    errors::reply_code,
    keys::{META, PARTITIONS_MAX},
    layout::{FORMAT, REDIS_VERSION_MIN},
};

/// Why no store was made. Each says on one line what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each variant says what it is, its fields are in the message")]
pub enum ConnectError {
    #[error("{problems}")]
    Address { problems: String },
    #[error("cannot reach Redis at {location} ({problem}): {hint}")]
    Unreachable { location: String, problem: String, hint: &'static str },
    #[error("Redis at {location} refused the login ({problem}): check {place}")]
    Login { location: String, problem: String, place: &'static str },
    #[error(
        "the user of Redis at {location} may not {missing}: `acl setuser <name> ~dao:* &dao:* +@all -@dangerous \
         +info +config|get +cluster` is enough"
    )]
    Rights { location: String, missing: String },
    #[error("Redis at {location} is version {found}: version {}.{} or newer is needed", REDIS_VERSION_MIN.0, REDIS_VERSION_MIN.1)]
    TooOld { location: String, found: String },
    #[error(
        "Redis at {location} is still loading its data: start again when it has, `redis-cli info persistence` tells"
    )]
    Loading { location: String },
    #[error("Redis at {location} is a replica of {primary}: name the primary")]
    Replica { location: String, primary: String },
    #[error("Redis at {location} is a node of a cluster: write redis-cluster:// in REDIS_URL")]
    IsCluster { location: String },
    #[error(
        "the cluster at {location} does not work ({problem}): `redis-cli --cluster check` says which nodes or slots \
         are missing"
    )]
    ClusterDown { location: String, problem: String },
    #[error(
        "Redis at {location} has maxmemory-policy {policy}, which deletes histories when memory is full: \
         set it with `redis-cli config set maxmemory-policy noeviction` and in its configuration file"
    )]
    Evicts { location: String, policy: String },
    #[error(
        "Redis at {location} takes no writes ({problem}): check its memory and disk, and that it is the primary"
    )]
    NotWritable { location: String, problem: String },
    #[error(
        "the histories at {location} are in {stored} partitions, but {configured} are configured: \
         set PARTITIONS={stored}, or leave it unset"
    )]
    Partitions { location: String, stored: u32, configured: u32 },
    #[error("PARTITIONS is {configured}: it must be 1 to {PARTITIONS_MAX}")]
    PartitionsRange { configured: u32 },
    #[error(
        "operation ids at {location} are remembered for {} ms, less than the {} ms configured: lower \
         OPERATION_TTL, or stop every instance and `redis-cli hset {META} operation_ttl_ms {}`, which forgets \
         the ids used so far",
        stored.as_millis(), configured.as_millis(), configured.as_millis()
    )]
    OperationTtl { location: String, stored: Duration, configured: Duration },
    #[error(
        "the histories at {location} are in format {stored}, this program knows format {FORMAT}: use the program that wrote them"
    )]
    Format { location: String, stored: String },
    #[error(
        "the histories at {location} are in format {stored} and this program knows {FORMAT}: stop all servers, back it \
         up, then run `dao-api migrate`"
    )]
    Older { location: String, stored: u32 },
}

impl ConnectError {
    /// Whether a Redis that is just starting says this, or says nothing yet: asked again soon, it may serve.
    pub fn is_starting(&self) -> bool {
        /// Nobody listens yet, the socket's file is not made yet, its data is being read, or nodes of a cluster are
        /// still meeting.
        const MARKS: [&str; 4] = ["refused", "no such file", "loading", "clusterdown"];
        match self {
            Self::Loading { .. } | Self::ClusterDown { .. } => true,
            Self::Unreachable { problem, .. } | Self::NotWritable { problem, .. } => {
                let problem = problem.to_lowercase();
                MARKS.iter().any(|mark| problem.contains(mark))
            }
            _ => false,
        }
    }
}

/// What an error means before anything was written.
pub(super) fn cannot_reach(location: &str, error: &Error) -> ConnectError {
    let details = error.details();
    let is_login = matches!(reply_code(details), "WRONGPASS" | "NOAUTH") || *error.kind() == ErrorKind::Auth;
    match reply_code(details) {
        "NOPERM" => return rights(location, details),
        _ if is_login => {
            let place = match location.contains("-sentinel:") {
                true => "the user and password in REDIS_URL, and REDIS_SENTINEL_PASSWORD",
                false => "the user and password in REDIS_URL",
            };
            return ConnectError::Login { location: location.to_owned(), problem: details.to_owned(), place };
        }
        _ => {}
    }
    let problem = cause(details).to_lowercase();
    ConnectError::Unreachable { location: location.to_owned(), hint: hint(location, &problem), problem }
}

/// What an error means when something is written for the first time.
pub(super) fn not_writable(location: &str, error: &Error) -> ConnectError {
    let (location, problem) = (location.to_owned(), error.details().to_owned());
    match reply_code(error.details()) {
        "NOPERM" => rights(&location, error.details()),
        "LOADING" => ConnectError::Loading { location },
        "CLUSTERDOWN" => ConnectError::ClusterDown { location, problem },
        _ => ConnectError::NotWritable { location, problem },
    }
}

fn rights(location: &str, details: &str) -> ConnectError {
    let said = details.trim_start_matches("NOPERM ").trim_end_matches('.');
    let missing = match said {
        said if said.contains(" key") => "use keys dao:*".to_owned(),
        said if said.contains("channel") => "use channels dao:*".to_owned(),
        said => format!("do all that is needed ({said})"),
    };
    ConnectError::Rights { location: location.to_owned(), missing }
}

/// The part of an error that people understand.
///
/// Of `Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }` the message, of
/// `Custom { kind: InvalidData, error: InvalidCertificate(UnknownIssuer) }` the error.
fn cause(details: &str) -> &str {
    let message =
        details.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"')).map(|(text, _)| text);
    let inner =
        || details.split_once("error: ").map(|(_, rest)| rest.trim_end_matches([' ', '}']).trim_matches('"'));
    message.or_else(inner).unwrap_or(details).trim_end_matches('.')
}

fn hint(location: &str, problem: &str) -> &'static str {
    let by_tls = location.starts_with("rediss");
    if problem.contains("certificaterequired") {
        return "it asks for our certificate: name one in REDIS_TLS_CERT, and its key in REDIS_TLS_KEY";
    }
    if problem.contains("invalidcertificate") {
        return "its certificate is none of an authority we trust for this host: name the authority's file in REDIS_TLS_CA";
    }
    if problem.contains("cluster support disabled") {
        return "it is no node of a cluster: write redis:// in REDIS_URL";
    }
    if problem.contains("cluster state") {
        return "its nodes do not know each other's addresses or slots: `redis-cli --cluster check` says what is missing";
    }
    if location.contains("-sentinel:") {
        return "check that sentinels run there, that they know a primary of this name (`sentinel monitor`), and \
                REDIS_SENTINEL_PASSWORD";
    }
    if by_tls && !problem.contains("refused") {
        return "check that it speaks TLS on this port (`tls-port`)";
    }
    if problem.contains("reset") || problem.contains("closed") {
        return "if it speaks TLS on this port, write rediss:// in REDIS_URL";
    }
    "start it with `redis-server --appendonly yes`, or leave REDIS_URL unset to use the embedded store"
}
