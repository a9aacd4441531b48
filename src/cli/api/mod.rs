//! How commands reach graphs: through the interface of HTTP, so that a command means the same wherever it is answered.
//!
//! There are three ways. `--url` names a server; then the caller has the rights of their token. A server that serves the
//! embedded store of this machine is asked over the socket in its directory. Where none does, this process opens the store
//! and answers itself, by the same routes. On the last two ways the caller is admin, may act in the name of anybody, and
//! has the routes below `/local` (`crate::http::LocalService`).
//!
//! Not here: what a command asks, and what it prints of the answer.

mod line;
mod refused;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dao_projections::{GraphId, UserId, Version};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use self::line::{Answer, Asked, JSON, LINES, Line, Lines};
pub(super) use self::refused::Refused;
use super::{
    error::CliError,
    open::{self, NotOpened, socket_of},
    reach::Reach,
};
use crate::{
    client::{LinkError, Server, percent_encoded},
    config::Config,
    domain::{VersionRef, readable},
    http::{App, LocalService, SOCKET_BODY_BYTES_MAX},
    telemetry::Metrics,
    write::Graphs,
};

/// How long a command waits for a store that another process has without a socket.
const TAKEN_MAX: Duration = Duration::from_secs(5);
/// How often it looks.
const TAKEN_LOOK: Duration = Duration::from_millis(50);

/// What answers.
pub(super) struct Api {
    way: Way,
    /// Where the graphs are, in words.
    place: String,
    stale: Stale,
}

/// What becomes of answers from memory, while the store is unavailable.
enum Stale {
    /// The first one is told.
    Tell,
    Told,
    Refuse,
}

enum Way {
    /// A server elsewhere.
    Remote(Line),
    /// The server over the store of this machine.
    Beside { line: Line, body_bytes_max: usize },
    /// This process.
    Here { service: LocalService, graphs: Arc<Graphs> },
}

impl Api {
    /// Finds out which way it goes, and connects.
    pub(super) async fn connect(config: &Config, reach: &Reach) -> Result<Self, CliError> {
        if let Some(url) = &reach.url {
            let server = url.clone().with_token(reach.token.clone());
            let line = Line::open(server).await.map_err(|why| {
                CliError::new(format!("{url}: {why}; check --url, and that the server runs"))
            })?;
            return Ok(Self { way: Way::Remote(line), place: url.to_string(), stale: Stale::Tell });
        }
        let since = Instant::now();
        let stores = loop {
            if let Some(socket) = socket_of(config)
                && let Ok(line) = Line::open(Server::at_socket(socket.clone())).await
            {
                let place = format!("the server at {}", socket.display());
                // MAX_BODY_BYTES is as the server has it, like DATA_DIR.
                let body_bytes_max = config.requests.body_bytes_max.max(SOCKET_BODY_BYTES_MAX);
                return Ok(Self { way: Way::Beside { line, body_bytes_max }, place, stale: Stale::Tell });
            }
            match open::stores_if_free(config).await {
                Ok(stores) => break stores,
                // A server that is just starting, or another command.
                Err(NotOpened::Taken(_)) if since.elapsed() < TAKEN_MAX => sleep(TAKEN_LOOK).await,
                Err(NotOpened::Taken(why) | NotOpened::Failed(why)) => return Err(why),
            }
        };
        let graphs = open::graphs_over(&stores, config, Metrics::default());
        let place = graphs.store().location();
        let app = App::new(graphs.clone(), config.requests, config.sockets)
            .with_projections(stores)
            .with_checkpoint_every(config.projector.checkpoint_every);
        Ok(Self { way: Way::Here { service: LocalService::of(app), graphs }, place, stale: Stale::Tell })
    }

    /// From now on an answer that may be behind is a failure.
    pub(super) fn refuse_stale(&mut self) {
        self.stale = Stale::Refuse;
    }

    /// Ends what was begun.
    pub(super) async fn close(self) {
        if let Way::Here { graphs, .. } = self.way {
            open::close(&graphs).await;
        }
    }

    /// Asks a person about what is to be done there, and lets go of the store meanwhile: a server that wants to start does
    /// not wait for them.
    pub(super) async fn once_asked(
        self,
        (config, reach): (&Config, &Reach),
        ask: impl FnOnce(&str) -> Result<(), CliError>,
    ) -> Result<Self, CliError> {
        let place = self.place.clone();
        self.close().await;
        ask(&place)?;
        Self::connect(config, reach).await
    }

    /// Whether another process answers, by its own settings.
    pub(super) fn is_elsewhere(&self) -> bool {
        !matches!(self.way, Way::Here { .. })
    }

    /// Whether the caller owns the store, and so has the routes below `/local`.
    pub(super) fn owns_store(&self) -> bool {
        !matches!(self.way, Way::Remote(_))
    }

    /// Fails unless the caller owns the store.
    pub(super) fn only_for_owners(&self, command: &str) -> Result<(), CliError> {
        match self.owns_store() {
            true => Ok(()),
            false => {
                let what = "has to run on the machine of the server: leave out --url (DAO_URL)";
                Err(CliError::new(format!("`dao-api {command}` {what}")))
            }
        }
    }

    /// The body of the answer to a GET.
    pub(super) async fn get(&mut self, path: &str) -> Result<Bytes, Refused> {
        self.whole(Asked { method: Method::GET, path, user: None, body: None, accept: JSON }).await
    }

    /// The same, read.
    pub(super) async fn read<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Refused> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).map_err(|e| Refused::unreadable(&e))
    }

    /// The answer to a POST in the name of this user.
    pub(super) async fn post(
        &mut self,
        path: &str,
        user: Option<&UserId>,
        body: &Value,
    ) -> Result<Value, Refused> {
        let body = Some(body.to_string().into());
        let asked = Asked { method: Method::POST, path, user, body, accept: JSON };
        let body = self.whole(asked).await?;
        serde_json::from_slice(&body).map_err(|e| Refused::unreadable(&e))
    }

    /// The lines of the answer to a GET.
    pub(super) async fn get_lines(&mut self, path: &str) -> Result<Lines, Refused> {
        self.lines(Asked { method: Method::GET, path, user: None, body: None, accept: LINES }).await
    }

    /// The lines of the answer to a POST.
    pub(super) async fn post_lines(&mut self, path: &str, body: &Value) -> Result<Lines, Refused> {
        let body = Some(body.to_string().into());
        self.lines(Asked { method: Method::POST, path, user: None, body, accept: LINES }).await
    }

    /// Fails if the graph has no commits: a mistyped name must not succeed with an empty history.
    pub(super) async fn existing(&mut self, graph: &GraphId) -> Result<(), CliError> {
        match self.get(&format!("/graphs/{graph}")).await {
            Ok(_) => Ok(()),
            Err(refused) => match refused.code() {
                "GRAPH_NOT_FOUND" => {
                    Err(CliError::new(format!("graph {graph} does not exist at {}", self.place)))
                }
                // A damaged graph exists.
                "HISTORY_DAMAGED" => Ok(()),
                _ => Err(CliError::new(format!("{graph} can't be read: {refused}"))),
            },
        }
    }

    /// The version that a name means now.
    pub(super) async fn version_of(
        &mut self,
        graph: &GraphId,
        name: &VersionRef,
    ) -> Result<Version, Refused> {
        #[derive(serde::Deserialize)]
        struct Named {
            from: Version,
        }
        let name = query_text(name);
        let named: Named = self.read(&format!("/graphs/{graph}/diff?from={name}&to={name}")).await?;
        Ok(named.from)
    }

    /// Brings the list of graphs up to this version of a graph, once it is told that it is written. A server elsewhere
    /// does so in its own time.
    pub(super) async fn fold(&mut self, graph: &GraphId, version: Version) -> Result<(), CliError> {
        if !self.owns_store() {
            return Ok(());
        }
        let (path, to) = (format!("/local/graphs/{graph}/fold"), json!({ "version": version }));
        self.post(&path, None, &to).await.map(drop).map_err(|why| {
            CliError::new(format!(
                "{graph} is written at version {version}, but the list may be behind: {why}. Run `dao-api rebuild --graph {graph}`"
            ))
        })
    }

    async fn whole(&mut self, asked: Asked<'_>) -> Result<Bytes, Refused> {
        let answer = self.ask(asked).await?;
        if answer.status != 200 {
            return Err(Refused::said_by(answer).await);
        }
        answer.whole().await.map_err(|why| match (&self.way, why) {
            (Way::Beside { .. }, why @ LinkError::TooLong(_)) => {
                Refused::Unanswered(format!("{why}: stop the server first"))
            }
            (_, why) => why.into(),
        })
    }

    async fn lines(&mut self, asked: Asked<'_>) -> Result<Lines, Refused> {
        let answer = self.ask(asked).await?;
        if answer.status == 200 { Ok(answer.lines()) } else { Err(Refused::said_by(answer).await) }
    }

    async fn ask(&mut self, asked: Asked<'_>) -> Result<Answer, Refused> {
        if let Way::Beside { body_bytes_max: max, .. } = &self.way
            && asked.bytes().len() > *max
        {
            let detail = format!(
                "this is more than {max} bytes, which a server takes over its socket: stop the server first"
            );
            let code = "TOO_LARGE".to_owned();
            return Err(Refused::Problem { status: 413, code, detail, is_duplicate: false });
        }
        let answer = self.answer(asked).await?;
        if answer.is_stale {
            self.look_at_stale()?;
        }
        Ok(answer)
    }

    async fn answer(&mut self, asked: Asked<'_>) -> Result<Answer, Refused> {
        match &mut self.way {
            Way::Remote(line) | Way::Beside { line, .. } => line.ask(asked).await.map_err(Refused::from),
            Way::Here { service, .. } => {
                let request = asked
                    .request()
                    .ok_or_else(|| Refused::Unanswered(format!("{} can't be asked for", asked.path)))?;
                // What went wrong is told by the command itself.
                let answer = service.ask(request).with_subscriber(NoSubscriber::new()).await;
                Ok(Answer::of(answer, None))
            }
        }
    }

    /// Tells, once, that what is answered may be behind; or refuses it.
    fn look_at_stale(&mut self) -> Result<(), Refused> {
        let place = &self.place;
        match self.stale {
            Stale::Told => {}
            Stale::Tell => {
                eprintln!("the store behind {place} is unavailable: this is from memory, and may be behind");
                self.stale = Stale::Told;
            }
            Stale::Refuse => {
                let why =
                    format!("the store behind {place} is unavailable, and what is in memory may be behind");
                return Err(Refused::Unanswered(why));
            }
        }
        Ok(())
    }
}

/// A version as one names it.
pub(super) fn query_name(name: &VersionRef) -> String {
    match name {
        VersionRef::Head => "head".to_owned(),
        VersionRef::Version(version) => version.to_string(),
        VersionRef::Label(name) => name.to_string(),
        VersionRef::Time(time) => readable(*time),
    }
}

/// The same in a query.
pub(super) fn query_text(name: &VersionRef) -> String {
    percent_encoded(&query_name(name))
}

/// A path with the parameters that have a value.
pub(super) fn with_query(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let given = query.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    let pairs: Vec<String> =
        given.map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}
