//! `dao-api demo`: a temporary server with an example graph, and a page on which two people edit it.
//!
//! The server is a process of its own, so that the page can have it killed with SIGKILL. It comes back, and the page shows
//! that nothing is lost. The server ends with this process, however that ends: its standard input is a pipe from here.

use std::{
    env, fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use clap::Args;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use uuid::Uuid;

use super::error::CliError;
use crate::http::{DEMO_GRAPH, KILL_LINE};

/// How long a server that was killed stays away, so that people see what editors do meanwhile.
const AWAY: Duration = Duration::from_secs(2);
/// Between attempts to remove the data.
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);
/// The part of the environment that the server gets: none of the settings of other servers.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE"];

#[derive(Args)]
pub(super) struct Demo {
    /// Do not open the page in a browser
    #[arg(long)]
    no_open: bool,
}

/// A directory that goes when the demo ends.
struct TemporaryDir(PathBuf);

impl TemporaryDir {
    fn new() -> Result<Self, CliError> {
        let path = env::temp_dir().join(format!("dao-api-demo-{}", Uuid::now_v7()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|e| CliError::new(format!("{} can't be made: {e}; set TMPDIR", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        // A server that is being killed may still write for a moment.
        let mut removed = Ok(());
        for _ in 0..20 {
            removed = fs::remove_dir_all(&self.0);
            match &removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => thread::sleep(REMOVAL_PAUSE),
                _ => return,
            }
        }
        if let Err(error) = removed {
            tracing::warn!(%error, dir = %self.0.display(), "the data of the demo could not be removed");
        }
    }
}

impl Demo {
    /// Serves until it is told to stop. `wanted` is taken if it is free, else another port.
    pub(super) async fn run(self, wanted: u16) -> Result<(), CliError> {
        // Before there is anything to clean up.
        let mut stop = Stop::watch()?;
        let dir = TemporaryDir::new()?;
        let port = free_port(wanted)?;
        let program =
            env::current_exe().map_err(|e| CliError::new(format!("this program is not found: {e}")))?;
        let server = Server { program, dir: dir.0.clone(), port };
        tokio::select! {
            ended = server.run(!self.no_open) => ended,
            () = stop.asked() => Ok(()),
        }
        // The child is killed as it is dropped, and the directory goes after it.
    }
}

/// The signals that end the demo.
struct Stop([Signal; 3]);

impl Stop {
    fn watch() -> Result<Self, CliError> {
        let watch = |kind| {
            signal(kind).map_err(|e| CliError::new(format!("the signals that end it can't be watched: {e}")))
        };
        Ok(Self([
            watch(SignalKind::interrupt())?,
            watch(SignalKind::terminate())?,
            watch(SignalKind::hangup())?,
        ]))
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// This port of this machine, or any other that is free.
fn free_port(wanted: u16) -> Result<u16, CliError> {
    let bound = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = bound(wanted).or_else(|_in_use| bound(0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|e| CliError::new(format!("no port can be opened: {e}")))
}

/// How the server of the demo is started.
struct Server {
    program: PathBuf,
    dir: PathBuf,
    port: u16,
}

impl Server {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().kill_on_drop(true);
        command.envs(INHERITED.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.env("DATA_DIR", &self.dir).env("HOST", "127.0.0.1").env("PORT", self.port.to_string());
        command.env("LOG_LEVEL", "error");
        command
    }

    async fn seed(&self) -> Result<(), CliError> {
        let seeded = self.command(&["seed", "--graph", DEMO_GRAPH]).output().await;
        let seeded = seeded.map_err(|e| cannot_start(&self.program, &e))?;
        match seeded.status.success() {
            true => Ok(()),
            false => Err(CliError::new(String::from_utf8_lossy(&seeded.stderr).trim().to_owned())),
        }
    }

    async fn run(&self, opens: bool) -> Result<(), CliError> {
        self.seed().await?;
        self.keep_running(opens).await
    }

    /// Starts the server again whenever it was killed. Returns if it ends by itself.
    async fn keep_running(&self, opens: bool) -> Result<(), CliError> {
        let mut is_first = true;
        loop {
            let mut command = self.command(&["demo-server"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().map_err(|e| cannot_start(&self.program, &e))?;
            let was_asked = self.until_asked(&mut child, is_first && opens, is_first).await?;
            if !was_asked {
                let status = child.wait().await.map_err(|e| cannot_start(&self.program, &e))?;
                return Err(CliError::new(format!("the server of the demo ended: {status}")));
            }
            child.kill().await.map_err(|e| CliError::new(format!("the server can't be killed: {e}")))?;
            is_first = false;
            sleep(AWAY).await;
        }
    }

    /// Until the server asks to be killed; `false` if it ended.
    async fn until_asked(&self, child: &mut Child, opens: bool, tells: bool) -> Result<bool, CliError> {
        let Some(out) = child.stdout.take() else { return Ok(false) };
        let mut lines = BufReader::new(out).lines();
        let mut is_started = false;
        let failed = |e: io::Error| CliError::new(format!("the server's output can't be read: {e}"));
        while let Some(line) = lines.next_line().await.map_err(failed)? {
            if line == KILL_LINE {
                return Ok(true);
            }
            if !is_started && tells {
                self.tell(opens)?;
            }
            is_started = true;
        }
        Ok(false)
    }

    fn tell(&self, opens: bool) -> Result<(), CliError> {
        let page = format!("http://127.0.0.1:{}/console/demo", self.port);
        super::output::print(|out| {
            writeln!(
                out,
                "Two people edit one graph: {page}\nEverything else about it: http://127.0.0.1:{}/console/\n\
                 Ctrl-C ends the demo; nothing of it is kept.",
                self.port
            )
        })?;
        if opens {
            open(&page);
        }
        Ok(())
    }
}

fn cannot_start(program: &Path, error: &io::Error) -> CliError {
    CliError::new(format!("{} can't be started: {error}", program.display()))
}

/// Opens the page in the browser of the user, where there is one.
fn open(page: &str) {
    let (program, has_screen) = match cfg!(target_os = "macos") {
        true => ("open", true),
        false => ("xdg-open", ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some())),
    };
    if has_screen {
        let mut command = std::process::Command::new(program);
        let opened =
            command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        if let Err(error) = opened {
            tracing::debug!(%error, "no browser could be opened");
        }
    }
}
