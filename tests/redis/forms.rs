//! Redis in every form that an address can name: by TLS, behind sentinels, on a Unix socket. Each is real.

use std::time::Duration;

use dao_api::store::{
    EventStore, Publication, StoreError,
    redis::{ConnectError, RedisConfig, RedisStore, TlsFiles},
};
use dao_projections::Head;

use crate::support::{
    history::{graph, grow, read_all},
    load::{Load, Outcome, assert_kept, operations_in},
    redis::{RedisServer, free_port},
    sentinel::Sentinel,
    server::Process,
    tls::Certificates,
};

fn config(url: String) -> RedisConfig {
    RedisConfig { partitions: Some(4), ..RedisConfig::at(url, Duration::from_secs(3_600)) }
}

/// The line that somebody reads who starts a server like this.
async fn refusal(config: RedisConfig) -> String {
    match RedisStore::connect(config).await {
        Ok(_) => panic!("it was not refused"),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains('\n') && !line.contains("Custom {") && line.len() < 300, "{line}");
            assert!(!matches!(error, ConnectError::Address { .. }), "{line}");
            line
        }
    }
}

/// Writes, reads, hears what another store writes.
async fn assert_works(config: RedisConfig) {
    let (one, other) = (RedisStore::connect(config.clone()), RedisStore::connect(config));
    let (one, other) = tokio::try_join!(one, other).unwrap();
    let g = graph("g");
    let mut hints = other.listen(&g);
    assert_eq!(hints.next().await, Publication::MayHaveMissed);
    let head = grow(&one, &g, Head::EMPTY, 1..=3).await;
    match hints.next().await {
        Publication::Commits(commits) => assert_eq!(commits.last().unwrap().head(), head),
        // A connection that was made again meanwhile: whoever hears this reads the log, as is done below.
        Publication::MayHaveMissed => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(read_all(&other, &g).await.len(), 3);
    one.check().await.unwrap();
    one.close().await;
    other.close().await;
}

struct TlsServer {
    redis: RedisServer,
    port: u16,
    files: Certificates,
}

impl TlsServer {
    fn start(settings: &[&str]) -> Self {
        let (files, port) = (Certificates::make(), free_port());
        let (certificate, key, ca) =
            (files.path("server.crt"), files.path("server.key"), files.path("ca.crt"));
        let (tls_port, wanted) = (port.to_string(), ["--tls-auth-clients", "yes"]);
        let tls = ["--tls-port", &tls_port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let ca = ["--tls-ca-cert-file", &ca];
        let redis = RedisServer::with(&[&tls[..], &ca, &wanted, settings].concat());
        Self { redis, port, files }
    }

    fn trusting(&self, ca: &str) -> TlsFiles {
        TlsFiles {
            ca: Some(self.files.file(ca)),
            certificate: Some(self.files.file("client.crt")),
            key: Some(self.files.file("client.key")),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_by_tls_with_an_authority_and_a_certificate_of_ones_own() {
    let server = TlsServer::start(&[]);
    let by_tls =
        |host: &str, tls: TlsFiles| RedisConfig { tls, ..config(format!("rediss://{host}:{}", server.port)) };
    for host in ["localhost", "127.0.0.1"] {
        assert_works(by_tls(host, server.trusting("ca.crt"))).await;
        server.redis.command(&["FLUSHALL"]);
    }
    let replicated = RedisConfig { min_replicas: 1, ..by_tls("localhost", server.trusting("ca.crt")) };
    let store = RedisStore::connect(replicated).await.unwrap();
    assert_eq!(store.location(), format!("rediss://localhost:{}", server.port));
    assert!(matches!(store.check().await, Err(StoreError::NotReplicated(_))), "its line is by TLS too");

    let line = refusal(by_tls("localhost", server.trusting("other.crt"))).await;
    assert!(line.contains("REDIS_TLS_CA") && line.contains("certificate"), "{line}");
    let line = refusal(by_tls("localhost", TlsFiles::default())).await;
    assert!(line.contains("REDIS_TLS_CA"), "{line}");
    let without = TlsFiles { ca: Some(server.files.file("ca.crt")), ..TlsFiles::default() };
    let line = refusal(by_tls("localhost", without)).await;
    assert!(line.contains("REDIS_TLS_CERT"), "{line}");

    let plain_port = format!("rediss://localhost:{}", server.redis.port());
    let line = refusal(RedisConfig { tls: server.trusting("ca.crt"), ..config(plain_port) }).await;
    assert!(line.contains("TLS"), "{line}");
    let line = refusal(config(format!("redis://localhost:{}", server.port))).await;
    assert!(line.contains("rediss://"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_a_cluster_by_tls() {
    let bus = free_port().to_string();
    let settings = [
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--tls-cluster",
        "yes",
        "--cluster-announce-ip",
        "127.0.0.1",
    ];
    let server = TlsServer::start(&settings);
    server.redis.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    while !server.redis.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {}
    let url = format!("rediss-cluster://localhost:{}", server.port);
    assert_works(RedisConfig { tls: server.trusting("ca.crt"), ..config(url) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_on_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let _server = RedisServer::with(&["--unixsocket", socket.to_str().unwrap()]);
    assert_works(config(format!("redis+unix://{}", socket.display()))).await;
    let line = refusal(config(format!("redis+unix://{}/nowhere.sock", dir.path().display()))).await;
    assert!(line.contains("nowhere.sock") && line.contains("no such file"), "{line}");
}

/// On the primary that the sentinel names, whichever that is, with no restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_a_fail_over_by_sentinel_under_load_loses_nothing_acknowledged() {
    const GRAPHS: [&str; 2] = ["a", "b"];
    let mut primary = RedisServer::start();
    let replicas = [primary.replica(), primary.replica()];
    let sentinel = Sentinel::of(&primary, 2, "open-sesame");
    let url = sentinel.url();
    let settings = [
        ("REDIS_URL", url.as_str()),
        ("REDIS_SENTINEL_PASSWORD", "open-sesame"),
        ("REDIS_MIN_REPLICAS", "1"),
    ];
    let servers = vec![Process::start(&settings), Process::start(&settings)];
    assert!(servers[0].first_line.contains(&url), "{}", servers[0].first_line);
    let mut load = Load::start(servers, &GRAPHS).await;
    load.grown(20).await;
    let start = std::time::Instant::now();
    primary.kill();
    load.grown(10).await;
    println!("all graphs grow again after {:?}", start.elapsed());

    let config = RedisConfig {
        sentinel_password: Some("open-sesame".to_owned()),
        ..RedisConfig::at(url, Duration::from_secs(86_400))
    };
    let store = RedisStore::connect(config).await.unwrap();
    let Outcome { ledger, resets } = load.finish(&store).await;
    let stored = operations_in(&store, &GRAPHS).await;
    assert_kept(&ledger, &stored);
    assert_eq!(stored.len(), ledger.all().len(), "every operation has exactly one effect");
    println!("{} operations, {resets} resets", stored.len());
    store.close().await;
    assert!(replicas.iter().any(|replica| replica.command(&["ROLE"]).contains("master")));
}

#[tokio::test]
async fn o5_sentinels_that_refuse_or_know_nothing_are_one_line() {
    let primary = RedisServer::start();
    let sentinel = Sentinel::of(&primary, 0, "open-sesame");
    let with = |password: Option<&str>, url: String| RedisConfig {
        sentinel_password: password.map(str::to_owned),
        ..config(url)
    };
    let line = refusal(with(Some("wrong-one"), sentinel.url())).await;
    assert!(line.contains("REDIS_SENTINEL_PASSWORD") && !line.contains("wrong-one"), "{line}");
    let line = refusal(with(None, sentinel.url())).await;
    assert!(line.contains("REDIS_SENTINEL_PASSWORD"), "{line}");
    let line = refusal(with(Some("open-sesame"), sentinel.url().replace("/main", "/other"))).await;
    assert!(line.contains("other") && line.contains("sentinel"), "{line}");
}
