//! `dao-api watch`: what happens to a graph, as it happens.
//!
//! A log, not an editor: every commit is printed, none twice. Where the server offers a snapshot as
//! the shorter way, [`Client`] fetches the commits instead; only another history is jumped to.

mod words;

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    net::Ipv4Addr,
    time::Duration,
};

use clap::Args;
use dao_projections::{GraphId, UserId, Version};

use super::CliError;
use crate::{
    client::{
        Address, Aim, AskError, Client, ClientError, LinkError, Point, Received, Server, Token, Update,
    },
    config::Config,
};
use words::{Colour, line};

/// How long to wait between first attempts, with `--wait`.
const FIRST_RETRY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(super) struct Watch {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Begin after this version, 0 for the whole history; without it, with what happens from now on
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(..=Version::MAX.get()))]
    from: Option<u64>,
    /// Print each commit as a line of JSON, exactly as the server sent it; what happens to the
    /// connection then goes to standard error
    #[arg(long)]
    json: bool,
    /// The server, instead of the one at HOST and PORT
    #[arg(long, value_name = "URL")]
    url: Option<Server>,
    /// Ask as this user
    #[arg(long, value_name = "NAME")]
    user: Option<UserId>,
    /// The token that proves who asks, where the server has keys
    #[arg(long, env = "DAO_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<Token>,
    /// Keep trying if there is no server yet
    #[arg(long)]
    wait: bool,
}

/// Why it ends before it is told to.
enum End {
    /// Whoever read the output has gone: that is their way to say that they have seen enough.
    OutputClosed,
    Failed(CliError),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(CliError::new(format!("the output can't be written: {error}"))),
        }
    }
}

/// The server that listens at HOST and PORT of this machine.
pub(super) fn configured_server(config: &Config) -> Result<Server, CliError> {
    if config.port == 0 {
        return Err(CliError::new("PORT 0 is no port of a running server: name it with --url"));
    }
    let host = if config.host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { config.host };
    Ok(Server::new(host, config.port))
}

impl Watch {
    pub(super) async fn run(self, config: &Config) -> Result<(), CliError> {
        let address = Address {
            server: self.server(config)?.with_token(self.token.clone()),
            graph: self.graph.clone(),
            user: self.user.clone(),
        };
        let mut printer = Printer::new(if self.json { Form::Json } else { Form::Words });
        let ended = tokio::select! {
            ended = self.follow(&address, &mut printer) => ended,
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(End::from),
        };
        match ended.and_then(|()| printer.flush().map_err(End::from)) {
            Ok(()) | Err(End::OutputClosed) => Ok(()),
            Err(End::Failed(error)) => Err(error),
        }
    }

    fn server(&self, config: &Config) -> Result<Server, CliError> {
        self.url.clone().map_or_else(|| configured_server(config), Ok)
    }

    async fn follow(&self, address: &Address, printer: &mut Printer) -> Result<(), End> {
        let from = match self.from.and_then(Version::new) {
            Some(version) => Point { version, hash: None },
            None => self.now(address, printer).await?,
        };
        let mut client = Client::new(address.clone(), Aim::Commits, Some(from));
        let mut connection = Connection::Never;
        loop {
            if !client.has_update() {
                printer.flush()?;
            }
            let update = client.next().await.map_err(|error| refused(address, &error))?;
            connection = self.show(address, printer, update, connection)?;
        }
    }

    /// Where the graph stands now.
    async fn now(&self, address: &Address, printer: &mut Printer) -> Result<Point, End> {
        loop {
            match address.head().await {
                Ok(head) => return Ok(head.into()),
                Err(AskError::Client(error)) => return Err(refused(address, &error)),
                Err(AskError::Link(why)) if !self.wait => return Err(away(address, &why)),
                Err(AskError::Link(why)) => {
                    printer.notice(&format!("{why}; trying again in {}", seconds(FIRST_RETRY)))?;
                    printer.flush()?;
                    tokio::time::sleep(FIRST_RETRY).await;
                }
            }
        }
    }

    fn show(
        &self,
        address: &Address,
        printer: &mut Printer,
        update: Update,
        connection: Connection,
    ) -> Result<Connection, End> {
        match update {
            Update::Synced(head) => {
                let (graph, version) = (&self.graph, head.version);
                match connection {
                    Connection::Never => {
                        printer.notice(&format!("{graph} is at version {version}; times are UTC"))?;
                    }
                    Connection::Lost => {
                        printer.notice(&format!("connected again; {graph} is at version {version}"))?;
                    }
                    // The history was replaced, or the server was asked again: what follows says which.
                    Connection::Open => {}
                }
                return Ok(Connection::Open);
            }
            Update::Commit(received) => printer.commit(&received)?,
            Update::Snapshot(snapshot) => {
                let version = snapshot.head.version;
                printer.notice(&format!(
                    "jumped to version {version} (snapshot): the history is not the one before"
                ))?;
            }
            Update::Away { why, .. } if connection == Connection::Never && !self.wait => {
                return Err(away(address, &why));
            }
            Update::Away { why, again_in } => {
                printer.notice(&format!("{why}; trying again in {}", seconds(again_in)))?;
                let was_never = connection == Connection::Never;
                return Ok(if was_never { Connection::Never } else { Connection::Lost });
            }
            Update::Warning(complaint) => {
                printer.notice(&format!("the server says: {} ({})", complaint.message, complaint.code))?;
            }
            Update::Settled(..) | Update::Presence(_) => {}
        }
        Ok(connection)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    Never,
    Open,
    Lost,
}

fn seconds(wait: Duration) -> String {
    format!("{:.1} s", wait.as_secs_f64())
}

fn refused(address: &Address, error: &ClientError) -> End {
    End::Failed(CliError::new(format!("{} at {}: {error}", address.graph, address.server)))
}

/// A server that was never reached: one line that says what to do.
fn away(address: &Address, why: &LinkError) -> End {
    let server = &address.server;
    End::Failed(CliError::new(match why {
        LinkError::Unreachable(cause) => format!(
            "no server answers at {server} ({cause}): start one with `dao-api serve`, name another with --url, \
             or wait for it with --wait"
        ),
        _ => format!("{server}: {why}; --wait keeps trying"),
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Words,
    Json,
}

/// Writes lines; whole ones, when [`flush`](Self::flush)ed.
struct Printer {
    form: Form,
    colour: Colour,
    out: BufWriter<Stdout>,
}

impl Printer {
    fn new(form: Form) -> Self {
        let stdout = io::stdout();
        let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = if stdout.is_terminal() && wants_colour { Colour::On } else { Colour::Off };
        Self { form, colour, out: BufWriter::new(stdout) }
    }

    fn commit(&mut self, received: &Received) -> io::Result<()> {
        match self.form {
            Form::Json => writeln!(self.out, "{}", received.json),
            Form::Words => writeln!(self.out, "{}", line(&received.commit, self.colour)),
        }
    }

    /// What is not a commit.
    fn notice(&mut self, text: &str) -> io::Result<()> {
        match self.form {
            Form::Json => writeln!(io::stderr(), "dao-api: {text}"),
            Form::Words => writeln!(self.out, "{}", words::notice(text, self.colour)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
