//! A private Redis for a test: own directory, own port, append-only file on, gone at the end.
//!
//! Invariant: a test without the program `redis-server` fails and says how to install it; it is
//! never skipped.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long a start may take, loading included.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running `redis-server`.
pub(crate) struct RedisServer {
    dir: tempfile::TempDir,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// With `appendfsync everysec`.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With these settings besides, as on the command line: `["--appendfsync", "always"]`.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let mut server = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            port: free_port(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            process: None,
        };
        server.restart();
        server
    }

    /// One that copies all of this one, and has done so when this returns.
    pub(crate) fn replica(&self) -> Self {
        let replica = Self::with(&["--replicaof", "127.0.0.1", &self.port.to_string()]);
        replica.wait_until("master_link_status:up");
        let online = |n: usize| format!("slave{n}:ip=127.0.0.1,port={},state=online", replica.port);
        let start = Instant::now();
        while !(0..8).any(|n| self.command(&["INFO", "replication"]).contains(&online(n))) {
            assert!(start.elapsed() < START_TIMEOUT, "the replica is not online");
            thread::sleep(Duration::from_millis(5)); // between two looks at the event itself
        }
        replica
    }

    /// Waits until it says this of its replication.
    pub(crate) fn wait_until(&self, line: &str) {
        let start = Instant::now();
        while !self.command(&["INFO", "replication"]).lines().any(|found| found == line) {
            assert!(start.elapsed() < START_TIMEOUT, "never {line}");
            thread::sleep(Duration::from_millis(5)); // between two looks at the event itself
        }
    }

    /// Waits until the cluster that it belongs to has all slots.
    pub(crate) fn wait_until_cluster_ok(&self) {
        let start = Instant::now();
        while !self.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
            assert!(start.elapsed() < START_TIMEOUT, "the cluster does not come together");
            thread::sleep(Duration::from_millis(20)); // between two looks at the event itself
        }
    }

    /// Makes a primary of a replica.
    pub(crate) fn promote(&self) {
        assert!(self.command(&["REPLICAOF", "NO", "ONE"]).starts_with("+OK"));
        self.wait_until("role:master");
    }

    /// Stops it as a machine that hangs would: SIGSTOP. It goes on at [`RedisServer::thaw`].
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("it runs");
        let sent = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Three that form a cluster, without replicas.
    pub(crate) fn cluster() -> Vec<Self> {
        Self::cluster_of(3)
    }

    /// Three primaries and then the replica of each; a dead one is missed after two seconds.
    pub(crate) fn cluster_with_replicas() -> Vec<Self> {
        let nodes = Self::cluster_of(6);
        let (primaries, replicas) = nodes.split_at(3);
        for (primary, replica) in primaries.iter().zip(replicas) {
            assert!(replica.command(&["CLUSTER", "REPLICATE", &primary.cluster_id()]).starts_with("+OK"));
        }
        for (primary, replica) in primaries.iter().zip(replicas) {
            replica.wait_until("master_link_status:up");
            primary.wait_until("connected_slaves:1");
        }
        nodes
    }

    /// The first three have the slots.
    fn cluster_of(count: usize) -> Vec<Self> {
        const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        // The bus has a port of its own, by default ten thousand above: where others may listen.
        let buses: Vec<String> = (0..count).map(|_| free_port().to_string()).collect();
        let node = |bus: &String| {
            let cluster =
                ["--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000"];
            Self::with(&cluster)
        };
        let nodes: Vec<Self> = buses.iter().map(node).collect();
        // Before they know each other; later it is refused. Two nodes of one epoch settle that between them at some
        // later time, and a slot that moves meanwhile may be claimed back by where it was, and its keys be deleted.
        for (n, node) in nodes.iter().enumerate() {
            let set = node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
            assert!(set.starts_with("+OK"), "{set}");
        }
        for node in &nodes {
            node.command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string(), &buses[0]]);
        }
        for (node, (first, last)) in nodes.iter().zip(SLOTS) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        let start = Instant::now();
        let known = format!("cluster_known_nodes:{count}");
        let complete = |node: &Self| {
            let info = node.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains(&known)
        };
        while !nodes.iter().all(complete) {
            assert!(start.elapsed() < START_TIMEOUT, "the cluster does not come together");
            thread::sleep(Duration::from_millis(20)); // between two looks at the event itself
        }
        nodes
    }

    /// In which slot of the cluster a key is.
    pub(crate) fn slot_of(&self, key: &str) -> String {
        self.command(&["CLUSTER", "KEYSLOT", key]).trim().trim_start_matches(':').to_owned()
    }

    fn cluster_id(&self) -> String {
        self.command(&["CLUSTER", "MYID"]).lines().nth(1).expect("an id").to_owned()
    }

    /// Moves one slot with all its keys to another node, as `redis-cli --cluster reshard` does.
    pub(crate) fn migrate(&self, slot: &str, to: &Self, all: &[Self]) {
        self.begin_to_migrate(slot, to);
        self.finish_migrating(slot, to, all);
    }

    /// The slot is on its way to another node, and its keys are still here.
    pub(crate) fn begin_to_migrate(&self, slot: &str, to: &Self) {
        assert_ok(to, &["CLUSTER", "SETSLOT", slot, "IMPORTING", &self.cluster_id()]);
        assert_ok(self, &["CLUSTER", "SETSLOT", slot, "MIGRATING", &to.cluster_id()]);
    }

    /// These keys, of a slot that is on its way, go to that node.
    pub(crate) fn migrate_keys(&self, keys: &[&str], to: &Self) {
        let port = to.port().to_string();
        assert_ok(self, &[&["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"][..], keys].concat());
    }

    /// The other keys of a slot that is on its way go there, and then the slot.
    pub(crate) fn finish_migrating(&self, slot: &str, to: &Self, all: &[Self]) {
        let ok = assert_ok;
        loop {
            let keys = self.command(&["CLUSTER", "GETKEYSINSLOT", slot, "100"]);
            let keys: Vec<&str> = keys.lines().filter(|line| !line.starts_with(['*', '$'])).collect();
            if keys.is_empty() {
                break;
            }
            self.migrate_keys(&keys, to);
        }
        for node in [to, self].into_iter().chain(all) {
            // Replicas are told by their primaries.
            if !node.command(&["ROLE"]).contains("slave") {
                ok(node, &["CLUSTER", "SETSLOT", slot, "NODE", &to.cluster_id()]);
            }
        }
    }

    /// What to give to the store.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same for a cluster that it belongs to.
    pub(crate) fn cluster_url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The directory with its append-only file.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it as a power switch would: SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killing redis-server");
            process.wait().expect("waiting for redis-server");
        }
    }

    /// Starts it again, on the same port and files, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(self.dir.path())
            .args(&self.settings)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "this test starts a redis-server, which could not be run ({error}): \
                     install it with `apt-get install redis-server`, or run `make test`, which does"
                )
            });
        self.process = Some(process);
        self.wait_until_ready();
    }

    /// Sends one command and returns the reply as it stands on the wire.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.try_command(words).expect("redis-server answers")
    }

    /// Lets it answer nobody for so long. (`command` would wait for the end of the pause.)
    pub(crate) fn pause(&self, time: Duration) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("redis-server listens");
        write!(stream, "CLIENT PAUSE {} ALL\r\n", time.as_millis()).expect("sending to redis-server");
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).expect("redis-server answers");
        assert_eq!(&reply, b"+OK\r\n");
    }

    /// What a key takes in memory, all of its elements counted.
    pub(crate) fn memory_bytes(&self, key: &str) -> u64 {
        let reply = self.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]);
        let number = reply.strip_prefix(':').unwrap_or_else(|| panic!("no such key: {key}"));
        number.trim().parse().expect("a number")
    }

    /// The keys that match, in no order.
    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        let reply = self.command(&["KEYS", pattern]);
        reply.lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned).collect()
    }

    fn try_command(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        // The reply to QUIT says that the one before is complete.
        request += "*1\r\n$4\r\nQUIT\r\n";
        stream.write_all(request.as_bytes())?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        Ok(reply.strip_suffix("+OK\r\n").map(str::to_owned).unwrap_or(reply))
    }

    fn wait_until_ready(&mut self) {
        let start = Instant::now();
        loop {
            // A password or an unfinished load answers with an error, which starts with "-".
            if self.try_command(&["PING"]).is_ok_and(|reply| !reply.starts_with("-LOADING")) {
                return;
            }
            let process = self.process.as_mut().expect("it was started");
            if let Some(status) = process.try_wait().expect("its status") {
                panic!("redis-server on port {} ended at once: {status}", self.port);
            }
            assert!(start.elapsed() < START_TIMEOUT, "redis-server does not answer");
            thread::sleep(Duration::from_millis(5)); // between two looks at the event itself
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn assert_ok(node: &RedisServer, words: &[&str]) {
    let reply = node.command(words);
    assert!(reply.starts_with("+OK") || reply.starts_with("+NOKEY"), "{words:?}: {reply}");
}

/// A port that nobody listens on now. Below the range from which the kernel takes the ports of
/// outgoing connections: a client that tries one of those over and over can connect to itself.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = process::id().wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + n % 12_000).expect("below 32,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
