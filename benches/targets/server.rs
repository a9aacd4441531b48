//! The processes that are measured: the server as users run it, and a private Redis. Dropping a
//! handle ends the process.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    CONNECTIONS, Outcome,
    http::{Connection, find},
    references,
    requests::{Caller, Get, Moves, Packing, ask, graph, post},
    resp::Redis,
};

/// A child process that says on its first line where it listens.
pub(crate) struct Server {
    child: Child,
    /// Kept open: a program whose output nobody takes may end.
    _output: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    /// Who makes graphs here.
    caller: Caller,
}

/// The program that is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_dao-api");

impl Server {
    /// The server with the embedded store in `dir`.
    pub(crate) fn embedded(dir: &Path) -> Outcome<Self> {
        Self::embedded_with(PROGRAM, dir, &[], Caller::Claimed(0))
    }

    /// The same of this program with these settings, where graphs are made by `caller`.
    pub(crate) fn embedded_with(
        program: &str,
        dir: &Path,
        settings: &[(&str, &str)],
        caller: Caller,
    ) -> Outcome<Self> {
        let mut command = Command::new(program);
        let mut server =
            Self::start(command.env_clear().env("DATA_DIR", dir).envs(settings.iter().copied()))?;
        server.caller = caller;
        Ok(server)
    }

    /// The server over Redis.
    pub(crate) fn over(redis: &RedisServer) -> Outcome<Self> {
        let url = format!("redis://127.0.0.1:{}", redis.port);
        Self::start(Command::new(PROGRAM).env_clear().env("REDIS_URL", url))
    }

    /// Reference E: this very program, answering `answer` to every command.
    pub(crate) fn echo(answer: &str) -> Outcome<Self> {
        Self::start(Command::new(env::current_exe()?).args([references::ECHO, answer]).env_clear())
    }

    /// What this command starts, on a free port.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        command.env("PORT", "0").stdin(Stdio::null()).stdout(Stdio::piped());
        // Its log is written as by default, since that costs something too, and read by nobody who does not ask.
        if env::var_os("BENCH_LOG").is_none() {
            command.stderr(Stdio::null());
        }
        let mut child = command.spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split_whitespace().next());
        let Some(address) = address.and_then(|address| address.parse().ok()) else {
            let _already_gone = child.kill();
            return Err(format!("the server did not start: {line:?}").into());
        };
        Ok(Self { child, _output: output, address, caller: Caller::Claimed(0) })
    }

    /// Time that processors spent on this process since it began, in microseconds. Linux counts it
    /// in hundredths of a second.
    pub(crate) fn cpu_us(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(") ").ok_or("no name in stat")?;
        let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? * 10_000.0)
    }

    /// Bytes that this process has had written to the disk since it began.
    pub(crate) fn written_bytes(&self) -> Outcome<f64> {
        let counts = fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = counts.lines().find_map(|line| line.strip_prefix("write_bytes:"));
        Ok(line.ok_or("no write_bytes")?.trim().parse()?)
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident_bytes(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
        Ok(kibibytes.parse::<f64>()? * 1024.0)
    }

    /// Waits until projectors have folded everything.
    pub(crate) fn projected(&self) -> Outcome<()> {
        // The server looks at its own lag once a second.
        const PERIOD: Duration = Duration::from_millis(1_200);
        let until = Instant::now() + Duration::from_secs(120);
        let mut connection = Connection::open(self.address)?;
        while Instant::now() < until {
            thread::sleep(PERIOD);
            if lag_s(&mut connection)? == 0.0 {
                return Ok(());
            }
        }
        Err("projectors are behind for two minutes".into())
    }

    /// Makes a graph of so many nodes and edges, by atomic batches of `batch` commands.
    pub(crate) fn make_graph(&self, number: usize, nodes: usize, edges: usize, batch: usize) -> Outcome<()> {
        let mut connection = Connection::open(self.address)?;
        let node = |n: usize| {
            format!(
                r#"{{"type":"CREATE_NODE","payload":{{"id":"n{n:05}","type":"default","position":{{"x":{n},"y":0}},"data":{{"label":"Node {n}"}}}}}}"#
            )
        };
        let edge = |n: usize| {
            let target = (n * 7 + 1) % nodes;
            format!(
                r#"{{"type":"CREATE_EDGE","payload":{{"id":"e{n:05}","source":"n{:05}","target":"n{target:05}"}}}}"#,
                n % nodes
            )
        };
        let commands: Vec<String> = (0..nodes).map(node).chain((0..edges).map(edge)).collect();
        for chunk in commands.chunks(batch) {
            let body = format!(r#"{{"atomic":true,"operations":[{}]}}"#, chunk.join(","));
            let answer = connection.exchange(&post(
                &format!("/graphs/{}/batch", graph(number)),
                &self.caller,
                &body,
            ))?;
            if answer.head.status != 200 {
                return Err(format!("a graph could not be made: {}", answer.shown()).into());
            }
        }
        Ok(())
    }

    /// Moves nodes of these graphs so often, in batches whose members are commits of their own.
    pub(crate) fn fill(&self, graphs: Range<usize>, nodes: usize, commands: usize) -> Outcome<()> {
        const SENDERS: usize = 8;
        const BATCH: usize = 200;
        let address = self.address;
        let send = |client: usize| {
            let packing = Packing::Members(BATCH);
            let mut moves = Moves::new(client * CONNECTIONS / SENDERS, graphs.clone(), nodes, packing);
            thread::spawn(move || -> Outcome<()> {
                let mut connection = Connection::open(address)?;
                for _ in 0..commands.div_ceil(SENDERS * BATCH) {
                    ask(&mut connection, &mut moves)?;
                }
                Ok(())
            })
        };
        let senders: Vec<_> = (0..SENDERS).map(send).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
    }

    /// So many graphs of one node each, from this number on.
    pub(crate) fn make_tiny_graphs(&self, graphs: Range<usize>) -> Outcome<()> {
        const SENDERS: usize = 16;
        let (address, caller) = (self.address, self.caller.clone());
        let body = r#"{"type":"CREATE_NODE","payload":{"id":"n00000","type":"default","position":{"x":0,"y":0},"data":{}}}"#;
        let send = |sender: usize| {
            let (graphs, caller) = (graphs.clone(), caller.clone());
            thread::spawn(move || -> Outcome<()> {
                let mut connection = Connection::open(address)?;
                for number in graphs.skip(sender).step_by(SENDERS) {
                    let request = post(&format!("/graphs/{}/command", graph(number)), &caller, body);
                    let answer = connection.exchange(&request)?;
                    if answer.head.status != 200 {
                        return Err(format!("a graph could not be made: {}", answer.shown()).into());
                    }
                }
                Ok(())
            })
        };
        let senders: Vec<_> = (0..SENDERS).map(send).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
    }

    /// Graphs 0, 1, … of fifty nodes each.
    pub(crate) fn make_small_graphs(&self, count: usize) -> Outcome<()> {
        (0..count).try_for_each(|number| self.make_graph(number, 50, 0, 50))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

/// A Redis of our own: append-only file on, synced every second, never rewritten meanwhile.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) port: u16,
}

impl RedisServer {
    /// One with its files in `dir`, which is made.
    pub(crate) fn start(dir: &Path) -> Outcome<Self> {
        fs::create_dir_all(dir)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(dir)
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--auto-aof-rewrite-percentage", "0"])
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { child, port };
        for _ in 0..200 {
            if Redis::open(port).and_then(|mut redis| redis.ask(&[b"PING"])).is_ok() {
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("redis-server did not start".into())
    }

    pub(crate) fn connect(&self) -> Outcome<Redis> {
        Ok(Redis::open(self.port)?)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

/// How old the oldest commit is that no projector has folded, in seconds, as the server said last.
pub(crate) fn lag_s(connection: &mut Connection) -> Outcome<f64> {
    const LAG: &[u8] = b"\ndao_projection_lag_seconds ";
    let answer = ask(connection, &mut Get::new("/metrics"))?;
    let rest = find(answer.body(), LAG).map(|at| &answer.body()[at + LAG.len()..]).ok_or("no lag")?;
    let line = &rest[..rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())];
    Ok(std::str::from_utf8(line)?.parse()?)
}

/// Whether the program is there.
pub(crate) fn has_redis() -> bool {
    Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok()
}
