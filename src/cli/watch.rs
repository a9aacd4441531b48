//! `dao-api watch`: prints the commits of a graph as they happen.
//!
//! It prints every commit once. If the server offers a snapshot instead of commits, [`Client`] fetches the commits; it
//! takes the snapshot only if the history was replaced.

mod describe;

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    net::Ipv4Addr,
    time::Duration,
};

use clap::Args;
use dao_projections::{GraphId, UserId, Version};
use describe::{Colour, line};

use super::{
    error::CliError,
    reach::{Secret, ServerAddress},
};
use crate::{
    client::{
        Address, Aim, AskError, Client, ClientError, LinkError, Point, Received, Server, Token, Update,
    },
    config::Config,
};

/// The wait between attempts to connect for the first time, with `--wait`.
const FIRST_RETRY: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(super) struct Watch {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Start after this version; 0 prints the whole history. By default, print only new commits
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(..=Version::MAX.get()))]
    from: Option<u64>,
    /// Print each commit as a line of JSON, exactly as the server sent it; notes about the connection then go to
    /// standard error
    #[arg(long)]
    json: bool,
    /// The server to ask, instead of the one at HOST and PORT
    #[arg(long, env = "DAO_URL", value_name = "URL", hide_env_values = true, value_parser = ServerAddress)]
    url: Option<Server>,
    /// The user to ask as
    #[arg(long, value_name = "NAME")]
    user: Option<UserId>,
    /// The token to send, if the server has keys
    #[arg(long, env = "DAO_TOKEN", value_name = "TOKEN", hide_env_values = true, value_parser = Secret)]
    token: Option<Token>,
    /// Keep trying until the server answers
    #[arg(long)]
    wait: bool,
}

/// Why the command ends before it is stopped.
enum End {
    /// The reader closed the output, which is not a failure.
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

/// The server at HOST and PORT of this machine.
pub(super) fn configured_server(config: &Config) -> Result<Server, CliError> {
    if config.port == 0 {
        return Err(CliError::new("PORT 0 is not the port of a running server: use --url"));
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

    /// The current version of the graph.
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
                    // The history was replaced, or the server was asked again: the next frame says which.
                    Connection::Open => {}
                }
                return Ok(Connection::Open);
            }
            Update::Commit(received) => printer.commit(&received)?,
            Update::Snapshot(snapshot) => {
                let version = snapshot.head.version;
                printer
                    .notice(&format!("jumped to version {version} (snapshot): the history was replaced"))?;
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

/// The error for a server that was never reached: one line that says what to do.
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

/// Writes lines, whole ones on [`flush`](Self::flush).
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

    /// Prints a note that is not a commit.
    fn notice(&mut self, text: &str) -> io::Result<()> {
        match self.form {
            Form::Json => writeln!(io::stderr(), "dao-api: {text}"),
            Form::Words => writeln!(self.out, "{}", describe::notice(text, self.colour)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
