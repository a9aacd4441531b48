//! Where Redis is: an address as people write it, with what a connection by TLS needs.
//!
//! Invariant: every mistake is found here, before anything is connected to; it names the variable, and
//! never repeats a password.

use std::{net::IpAddr, path::Path, sync::Arc};

use fred::{
    prelude::Config,
    rustls::{
        self, ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    rustls_native_certs::load_native_certs,
    types::{
        RespVersion,
        config::{Server, ServerConfig, TlsConfig, TlsConnector, TlsHostMapping},
    },
};

use super::{RedisConfig, config::TlsFiles};

/// What an address may look like.
const FORMS: &str = "must be redis://host:port, rediss:// for TLS, redis-cluster://host:port,host:port, \
                     redis-sentinel://host:port,host:port/service or redis+unix:///path/of/socket";
const CLUSTER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What is wrong with an address: the variable, and what to do.
pub type Mistake = (&'static str, String);

/// The address for the client library, or everything that is wrong with it.
pub(super) fn parse(config: &RedisConfig) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let by_tls = config.url.starts_with("rediss");
    let mut parsed = parse_url(&config.url).map_err(|problem| mistakes.push(("REDIS_URL", problem))).ok();
    match parsed.as_mut().map(|parsed| &mut parsed.server) {
        Some(ServerConfig::Sentinel { password, .. }) => password.clone_from(&config.sentinel_password),
        Some(_) if config.sentinel_password.is_some() => {
            let problem =
                "there is no sentinel in REDIS_URL: unset it, or write redis-sentinel://host:port/service";
            mistakes.push(("REDIS_SENTINEL_PASSWORD", problem.to_owned()));
        }
        _ => {}
    }
    let connector = match (by_tls, config.tls.first_named()) {
        (true, _) => connector(&config.tls).map_err(|mistake| mistakes.push(mistake)).ok(),
        (false, Some(name)) => {
            mistakes
                .push((name, "nothing is encrypted, for REDIS_URL does not begin with rediss".to_owned()));
            None
        }
        (false, None) => None,
    };
    match parsed.filter(|_| mistakes.is_empty()) {
        Some(mut parsed) => {
            parsed.version = RespVersion::RESP3;
            parsed.tls =
                connector.map(|connector| TlsConfig { hostnames: host_names(&parsed.server), connector });
            Ok(parsed)
        }
        None => Err(mistakes),
    }
}

/// The address without user and password.
pub(super) fn location(address: &Config) -> String {
    let s = if address.tls.is_some() { "s" } else { "" };
    let hosts: Vec<String> = address.server.hosts().iter().map(|host| host.to_string()).collect();
    let (hosts, database) = (hosts.join(","), address.database.map(|n| format!("/{n}")).unwrap_or_default());
    match &address.server {
        ServerConfig::Sentinel { service_name, .. } => {
            format!("redis{s}-sentinel://{hosts}/{service_name}{database}")
        }
        ServerConfig::Unix { path } => format!("redis+unix://{}", path.display()),
        ServerConfig::Clustered { .. } => format!("redis{s}-cluster://{hosts}"),
        ServerConfig::Centralized { .. } => format!("redis{s}://{hosts}{database}"),
    }
}

/// An address in its parts. Only the first of several hosts is one that the library's parser knows.
struct AddressParts<'a> {
    /// User and password with the `@`, or nothing.
    login: &'a str,
    first: &'a str,
    others: Vec<&'a str>,
    path: &'a str,
}

impl<'a> AddressParts<'a> {
    fn of(rest: &'a str) -> Option<Self> {
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let mut hosts = hosts.split(',');
        let first = hosts.next().filter(|first| !first.is_empty())?;
        Some(Self { login, first, others: hosts.collect(), path })
    }
}

/// As the library would parse it, but for TLS, which is looked after here, and for lists of hosts.
fn parse_url(url: &str) -> Result<Config, String> {
    let (scheme, rest) = url.split_once("://").ok_or(FORMS)?;
    let plain = scheme.replacen("rediss", "redis", 1);
    match plain.as_str() {
        "redis" => from_url(&format!("redis://{rest}")),
        "redis+unix" if scheme == plain && rest.contains('/') => from_url(url),
        "redis-cluster" => {
            let parts = AddressParts::of(rest).ok_or(FORMS)?;
            let config = from_url(&format!("{plain}://{}{}{}", parts.login, parts.first, parts.path))?;
            with_hosts(config, &parts.others, CLUSTER_PORT)
        }
        "redis-sentinel" => {
            let parts = AddressParts::of(rest).ok_or(FORMS)?;
            let (service, database) = match parts.path.trim_start_matches('/').split_once('/') {
                Some((service, database)) => (service, database),
                None => (parts.path.trim_start_matches('/'), ""),
            };
            if service.is_empty() || !service.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            {
                let problem = "names no service: write redis-sentinel://host:port/service, where the service is the \
                               name in `sentinel monitor`";
                return Err(problem.to_owned());
            }
            let url =
                format!("{plain}://{}{}/{database}?sentinelServiceName={service}", parts.login, parts.first);
            with_hosts(from_url(&url)?, &parts.others, SENTINEL_PORT)
        }
        _ => Err(FORMS.to_owned()),
    }
}

fn from_url(url: &str) -> Result<Config, String> {
    Config::from_url(url).map_err(|error| format!("{FORMS} ({})", error.details()))
}

fn with_hosts(mut config: Config, others: &[&str], default_port: u16) -> Result<Config, String> {
    let others: Option<Vec<Server>> = others.iter().map(|text| host(text, default_port)).collect();
    let others = others.ok_or_else(|| format!("{FORMS} (one of the hosts is none)"))?;
    if let ServerConfig::Clustered { hosts, .. } | ServerConfig::Sentinel { hosts, .. } = &mut config.server {
        hosts.extend(others);
    }
    Ok(config)
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host(text: &str, default_port: u16) -> Option<Server> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()?),
        _ => (text, default_port),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    (!name.is_empty()).then(|| Server::new(name, port))
}

/// By which name the certificates of a cluster's nodes are checked. Nodes often call themselves by
/// their addresses; where the cluster was named by a name, the certificates are for that.
fn host_names(server: &ServerConfig) -> TlsHostMapping {
    let is_name = |host: &Server| host.host.parse::<IpAddr>().is_err();
    match server {
        ServerConfig::Clustered { hosts, .. } if hosts.iter().all(is_name) => TlsHostMapping::DefaultHost,
        _ => TlsHostMapping::None,
    }
}

fn connector(files: &TlsFiles) -> Result<TlsConnector, Mistake> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ("REDIS_URL", format!("TLS can't be used: {error}")))?
        .with_root_certificates(roots(files.ca.as_deref())?);
    let config = match (&files.certificate, &files.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates("REDIS_TLS_CERT", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                ("REDIS_TLS_KEY", format!("{} holds no private key: {error}", key.display()))
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error: rustls::Error| {
                ("REDIS_TLS_CERT", format!("can't be used with REDIS_TLS_KEY: {error}"))
            })?
        }
        (Some(_), None) => return Err(("REDIS_TLS_KEY", "is missing beside REDIS_TLS_CERT".to_owned())),
        (None, Some(_)) => return Err(("REDIS_TLS_CERT", "is missing beside REDIS_TLS_KEY".to_owned())),
    };
    Ok(config.into())
}

/// Whom to believe: the authorities in the file, or without one those that this system believes.
fn roots(file: Option<&Path>) -> Result<RootCertStore, Mistake> {
    let mut roots = RootCertStore::empty();
    let certificates = match file {
        Some(file) => certificates("REDIS_TLS_CA", file)?,
        None => load_native_certs().certs,
    };
    let (added, _unusable) = roots.add_parsable_certificates(certificates);
    match (added, file) {
        (1.., _) => Ok(roots),
        (0, Some(file)) => Err(("REDIS_TLS_CA", format!("{} holds no usable certificate", file.display()))),
        (0, None) => {
            let problem =
                "this system knows no certificate authorities: name a file of those that sign for Redis";
            Err(("REDIS_TLS_CA", problem.to_owned()))
        }
    }
}

fn certificates(name: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let problem =
        |problem: &str| (name, format!("{} holds no certificates in PEM: {problem}", file.display()));
    match read {
        Ok(found) if found.is_empty() => Err(problem("it has none")),
        Ok(found) => Ok(found),
        Err(error) => Err(problem(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parsed(url: &str) -> Result<Config, Vec<Mistake>> {
        parse(&RedisConfig::at(url.to_owned(), Duration::from_secs(1)))
    }

    #[test]
    fn o4_every_form_of_an_address_is_understood() {
        for (url, shown) in [
            ("redis://db", "redis://db:6379"),
            ("redis://ada:p%40ss@db:7000/3", "redis://db:7000/3"),
            ("redis-cluster://db:7000", "redis-cluster://db:7000"),
            ("redis-cluster://:pw@a:1,b,[::1]:3", "redis-cluster://a:1,b:6379,::1:3"),
            ("redis-sentinel://a:1,b/main", "redis-sentinel://a:1,b:26379/main"),
            ("redis-sentinel://ada:pw@a/main/2", "redis-sentinel://a:26379/main/2"),
            ("redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock"),
            ("redis+unix://:pw@localhost/run/redis.sock", "redis+unix:///run/redis.sock"),
        ] {
            let address = parsed(url).unwrap_or_else(|mistakes| panic!("{url}: {mistakes:?}"));
            assert_eq!(location(&address), shown);
        }
        let login =
            parsed("redis-sentinel://ada:p%40ss@a/main").map(|address| (address.username, address.password));
        assert_eq!(login, Ok((Some("ada".to_owned()), Some("p@ss".to_owned()))));
    }

    #[test]
    fn o4_what_is_no_address_is_told_with_what_would_be_one() {
        for url in [
            "localhost:6379",
            "http://db",
            "redis://",
            "redis-cluster://",
            "redis-cluster://:secret@a:1,b:x",
            "redis-cluster://:secret@a:1,",
            "redis-sentinel://:secret@a:1",
            "redis-sentinel://:secret@a:1/a&b",
            "rediss+unix:///run/redis.sock",
            "redis+unix:",
            "redis://:secret@db:99999",
            "redis://:secret@db/many",
        ] {
            let mistakes = parsed(url).err().unwrap_or_else(|| panic!("{url} is one"));
            assert_eq!(mistakes[0].0, "REDIS_URL", "{url}");
            assert!(!mistakes[0].1.contains("secret"), "{mistakes:?}");
        }
    }

    #[test]
    fn o4_files_and_passwords_that_protect_nothing_are_refused() {
        let plain = RedisConfig::at("redis://db".to_owned(), Duration::from_secs(1));
        let files = TlsFiles { ca: Some("/nowhere".into()), ..TlsFiles::default() };
        let config =
            RedisConfig { sentinel_password: Some("secret".to_owned()), tls: files.clone(), ..plain.clone() };
        let mistakes = parse(&config).err().unwrap_or_default();
        let names: Vec<_> = mistakes.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["REDIS_SENTINEL_PASSWORD", "REDIS_TLS_CA"]);

        let by_tls = RedisConfig { url: "rediss://db".to_owned(), ..plain };
        let config = RedisConfig { tls: files, ..by_tls.clone() };
        assert_eq!(parse(&config).err().map(|mistakes| mistakes[0].0), Some("REDIS_TLS_CA"));
        let alone = TlsFiles { key: Some("/nowhere".into()), ..TlsFiles::default() };
        let config = RedisConfig { tls: alone, ..by_tls };
        assert!(parse(&config).is_err());
    }
}
