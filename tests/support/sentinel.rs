//! A private Redis Sentinel for a test, alone and so its own quorum.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::redis::{RedisServer, free_port};

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The name of what it watches.
pub(crate) const SERVICE: &str = "main";

/// A running `redis-server --sentinel`.
pub(crate) struct Sentinel {
    /// It writes what it learns into its configuration.
    _dir: tempfile::TempDir,
    port: u16,
    password: String,
    process: Child,
}

impl Sentinel {
    /// Watches this primary, and has found so many replicas of it when this returns.
    pub(crate) fn of(primary: &RedisServer, replicas: usize, password: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().expect("a temporary directory"), free_port());
        let config = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\n\
             sentinel monitor {SERVICE} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {SERVICE} 500\n\
             sentinel failover-timeout {SERVICE} 3000\n",
            primary.port()
        );
        let file = dir.path().join("sentinel.conf");
        std::fs::write(&file, config).expect("its configuration");
        let process = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server runs");
        let sentinel = Self { _dir: dir, port, password: password.to_owned(), process };
        let start = Instant::now();
        while !sentinel.says(&format!("num-slaves\r\n$1\r\n{replicas}\r\n")) {
            assert!(start.elapsed() < START_TIMEOUT, "the sentinel does not find the replicas");
            thread::sleep(Duration::from_millis(20)); // between two looks at the event itself
        }
        sentinel
    }

    /// What to give to the store.
    pub(crate) fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}/{SERVICE}", self.port)
    }

    /// Whether what it says of the primary has this in it.
    fn says(&self, text: &str) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            write!(stream, "AUTH {}\r\nSENTINEL MASTER {SERVICE}\r\n", self.password)?;
            // Its last field; a sentinel does not know QUIT.
            let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
            while !String::from_utf8_lossy(&reply).contains("parallel-syncs") {
                match stream.read(&mut buffer)? {
                    0 => break,
                    n => reply.extend_from_slice(&buffer[..n]),
                }
            }
            Ok(String::from_utf8_lossy(&reply).into_owned())
        };
        ask().is_ok_and(|reply| reply.contains(text))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped_already = self.process.wait();
    }
}
