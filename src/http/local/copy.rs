//! `POST /local/graphs/{graphId}/copy`: a new graph with the contents of another one, or with its history (rule L7),
//! however large.
//!
//! What one command does not copy is copied in pieces. Their operation ids follow from what is copied and to where, so
//! the same request again goes on where it was interrupted.

use axum::{Extension, extract::State, http::StatusCode, response::Response};
use dao_projections::{Graph, GraphId, Head, OperationId, Origin, UserId, Version};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    super::{
        app::App,
        authentication::Caller,
        documents::{parse_batch, parse_command},
        extractors::{DecodedBody, PathIds},
        format::{Format, respond},
        problem::Problem,
    },
    asked, stores,
};
use crate::{
    domain::{Action, Command, CopyFrom, CopyPart, Operation, Reason, Source, VersionRef, json_bytes},
    project::{self, Stores},
    write::{Ending, Graphs, Reply, copy},
};

/// Nodes and edges in one piece: operations in a batch.
const PIECE_OPERATIONS: usize = 1_000;
/// Bytes of nodes or edges in one piece, about.
const PIECE_BYTES: usize = 4 << 20;

/// One copy at a time: it holds a turn of those that read graphs to copy, and its commands take another. Two of them
/// would wait for each other.
static COPYING: Semaphore = Semaphore::const_new(1);

/// The copies that are being made. Once begun each is finished, also if the caller does not wait for it: whoever stops
/// waits for them instead.
#[derive(Clone, Default)]
pub(super) struct CopyTasks {
    tasks: TaskTracker,
    cut: CancellationToken,
}

impl CopyTasks {
    /// What a copy comes to; nobody hears it if the caller is gone.
    async fn run<T: Send + 'static>(
        &self,
        copying: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<Result<T, Problem>, JoinError> {
        let cut = self.cut.clone();
        let copying = async move {
            tokio::select! {
                copied = copying => copied,
                () = cut.cancelled() => Err(Problem::not_ready("it stops: run the same command again", vec![])),
            }
        };
        self.tasks.spawn(copying).await
    }

    /// Waits until there is none.
    pub(super) async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends those that are left where they are, as a crash would.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

/// What is asked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CopyBody {
    source: GraphId,
    /// As a command line names it.
    at: String,
    #[serde(default)]
    history: bool,
    #[serde(default)]
    title: Option<String>,
}

/// Copy a graph.
pub(super) async fn copy_graph(
    State(app): State<App>,
    Extension(copies): Extension<CopyTasks>,
    ids: PathIds,
    Caller(user): Caller,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let CopyBody { source, at, history, title } = asked(document)?;
    let at = at.parse().map_err(|e| Problem::bad_request(format!("at: {e}")))?;
    let copy = Copy { source, graph: ids.graph()?, at, history, title, user };
    let stores = stores(&app)?.clone();
    let copying = async move {
        let _turn = COPYING.acquire().await;
        let _among_all = copy::turn().await;
        let copied =
            copy.copy(&app.graphs, &stores).await.map_err(|CopyRefused(why)| Problem::bad_request(why))?;
        let version = copied.1.version;
        let folded = project::fold_graph(&stores, &copy.graph, version, app.checkpoint_every).await;
        folded.map_err(|why| {
            let what = format!("it is written at version {version}, but the list may be behind");
            Problem::behind(&format!("{what}: {why}"), &why)
        })?;
        Ok::<_, Problem>(copied)
    };
    let (origin, head) = copies.run(copying).await.map_err(Problem::of_panic)??;
    let told = json!({"version": head.version, "hash": head.hash, "forkedFrom": origin});
    Ok(respond(StatusCode::OK, Format::Json, &told))
}

/// Why nothing, or not all, was copied: what a person is told.
struct CopyRefused(String);

impl CopyRefused {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

struct Copy {
    source: GraphId,
    graph: GraphId,
    at: VersionRef,
    history: bool,
    title: Option<String>,
    user: UserId,
}

impl Copy {
    async fn copy(&self, graphs: &Graphs, stores: &Stores) -> Result<(Origin, Head), CopyRefused> {
        let unreadable =
            |e: &dyn std::fmt::Display| CopyRefused::new(format!("{} can't be read: {e}", self.source));
        let from = CopyFrom { graph: self.source.clone(), at: self.begun(graphs).await?, part: self.part() };
        let found = copy::find(&*stores.events, Some(&*stores.rows), &from).await;
        let (origin, source) = match found.map_err(|e| unreadable(&e))? {
            Source::Found { origin, graph } => (origin, graph),
            Source::NoVersion { head, .. } => return Err(unreadable(&format!("it is at version {head}"))),
            Source::NoLabel(name) => return Err(unreadable(&format!("it has no label {name}"))),
            Source::Trashed(_) => return Err(unreadable(&"it is in the trash")),
            Source::NotFound => {
                return Err(CopyRefused::new(format!("graph {} does not exist", self.source)));
            }
            Source::TooLarge => return Err(unreadable(&"it is not there")),
        };
        let id = self.operation_id(&origin);
        if let Some(head) = self.go_on(graphs, stores, (&origin, &source), id).await? {
            return Ok((origin, head));
        }
        // The version is fixed from here on: a label or a time may come to mean another.
        let whole = self.create(&origin, id, self.part())?;
        let reply = self.execute(graphs, whole).await?;
        match &reply.ending {
            Ending::Completed { head, .. } => Ok((origin, *head)),
            Ending::Refused { refusal, .. } if refusal.reason == Reason::AnswerTooLarge => {
                let head = self.in_pieces(graphs, stores, (&origin, &source), id).await?;
                Ok((origin, head))
            }
            Ending::Refused { refusal, .. } => Err(refused(&self.graph, &refusal.message)),
        }
    }

    fn part(&self) -> CopyPart {
        if self.history { CopyPart::History } else { CopyPart::Contents }
    }

    /// The version that an interrupted copy of these contents began with, so that the same command line goes on with
    /// it; else what the command line says.
    async fn begun(&self, graphs: &Graphs) -> Result<VersionRef, CopyRefused> {
        let view = graphs.refresh(&self.graph).await;
        let view = view.map_err(|e| CopyRefused::new(format!("{} can't be read: {e}", self.graph)))?;
        let origin = view.graph.metadata().origin.clone().filter(|origin| origin.graph_id == self.source);
        let Some(origin) = origin else { return Ok(self.at.clone()) };
        let version = origin.version;
        if matches!(&self.at, VersionRef::Version(at) if *at != version) {
            let message = format!("{} is already a copy of {} at version {version}", self.graph, self.source);
            return Err(CopyRefused::new(message));
        }
        Ok(VersionRef::Version(version))
    }

    /// The same for the same copy.
    fn operation_id(&self, origin: &Origin) -> OperationId {
        let what = format!("{}\0{}\0{}\0{}", self.source, origin.hash, self.graph, self.history);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, what.as_bytes()).into()
    }

    fn create(&self, origin: &Origin, id: OperationId, part: CopyPart) -> Result<Operation, CopyRefused> {
        let mut payload = json!({"from": {"graphId": origin.graph_id, "at": origin.version,
            "history": part == CopyPart::History}});
        if let Some(title) = &self.title {
            payload["attributes"] = json!({"title": title});
        }
        let command = json!({"type": "CREATE_GRAPH", "operationId": id, "payload": payload});
        let mut operation = parse_command(command, &self.user).map_err(CopyRefused::new)?;
        if let Action::Single(member) = &mut operation.action
            && let Command::CopyGraph { from, .. } = &mut member.command
        {
            from.part = part;
        }
        Ok(operation)
    }

    async fn execute(&self, graphs: &Graphs, operation: Operation) -> Result<Reply, CopyRefused> {
        let replies = graphs.execute(&self.graph, vec![operation]).await;
        let replies = replies
            .map_err(|e| CopyRefused::new(format!("{}: {e}. Run the same command again", self.graph)))?;
        replies
            .into_iter()
            .next()
            .ok_or_else(|| CopyRefused::new("there was no answer. Run the same command again"))
    }

    /// Runs what must be accepted.
    async fn write(&self, graphs: &Graphs, operation: Operation) -> Result<Head, CopyRefused> {
        match self.execute(graphs, operation).await?.ending {
            Ending::Completed { head, .. } => Ok(head),
            Ending::Refused { refusal, .. } => Err(refused(&self.graph, &refusal.message)),
        }
    }

    async fn in_pieces(
        &self,
        graphs: &Graphs,
        stores: &Stores,
        (origin, source): (&Origin, &Graph),
        id: OperationId,
    ) -> Result<Head, CopyRefused> {
        if self.history {
            return self.history_in_pieces(graphs, stores, origin, id).await;
        }
        let mut head = self.write(graphs, self.create(origin, id.member(0), CopyPart::Outline)?).await?;
        let nodes = source.nodes_in_order().map(|node| ("CREATE_NODE", Value::Object(node.entity.to_json())));
        let edges = source.edges().iter().map(|edge| ("CREATE_EDGE", Value::Object(edge.entity.to_json())));
        let (mut piece, mut bytes, mut index) = (Vec::new(), 0, 0);
        for (name, entity) in nodes.chain(edges) {
            bytes += json_bytes(&entity);
            piece.push(json!({"type": name, "payload": entity}));
            if piece.len() >= PIECE_OPERATIONS || bytes > PIECE_BYTES {
                index += 1;
                head = self.write_piece(graphs, std::mem::take(&mut piece), id.member(index)).await?;
                bytes = 0;
            }
        }
        if source.viewport_version() > Version::EMPTY {
            piece.push(json!({"type": "SET_VIEWPORT", "payload": source.viewport().to_json()}));
        }
        if !piece.is_empty() {
            head = self.write_piece(graphs, piece, id.member(index + 1)).await?;
        }
        Ok(head)
    }

    async fn write_piece(
        &self,
        graphs: &Graphs,
        operations: Vec<Value>,
        id: OperationId,
    ) -> Result<Head, CopyRefused> {
        let batch = json!({"atomic": true, "batchId": id, "operations": operations});
        let operations = parse_batch(batch, &self.user, PIECE_OPERATIONS + 1);
        let mut operations = operations.map_err(CopyRefused::new)?;
        match operations.pop() {
            Some(operation) => self.write(graphs, operation).await,
            None => Err(CopyRefused::new("there is nothing to write")),
        }
    }

    async fn history_in_pieces(
        &self,
        graphs: &Graphs,
        stores: &Stores,
        origin: &Origin,
        id: OperationId,
    ) -> Result<Head, CopyRefused> {
        let copied = copy::in_pieces(&*stores.events, origin, &self.graph).await;
        copied.map_err(|e| CopyRefused::new(format!("{}: {e}. Run the same command again", self.graph)))?;
        self.write(graphs, self.create(origin, id.member(0), CopyPart::Fork)?).await
    }

    /// The head of a copy that was interrupted, once it is complete; `None` if the graph is no such copy.
    async fn go_on(
        &self,
        graphs: &Graphs,
        stores: &Stores,
        (origin, source): (&Origin, &Graph),
        id: OperationId,
    ) -> Result<Option<Head>, CopyRefused> {
        let failed =
            |e: &dyn std::fmt::Display| CopyRefused::new(format!("{} can't be read: {e}", self.graph));
        let head = graphs.store().head(&self.graph).await.map_err(|e| failed(&e))?;
        if head == Head::EMPTY {
            return Ok(None);
        }
        let begins = copy::is_prefix(&*stores.events, origin, head).await.map_err(|e| failed(&e))?;
        if self.history && begins {
            return self.history_in_pieces(graphs, stores, origin, id).await.map(Some);
        }
        let outline = id.member(0);
        let known = graphs.settled(&self.graph, &[outline]).await.map_err(|e| failed(&e))?;
        if self.history || known.iter().all(Option::is_none) {
            return Ok(None);
        }
        self.in_pieces(graphs, stores, (origin, source), id).await.map(Some)
    }
}

fn refused(graph: &GraphId, message: &str) -> CopyRefused {
    CopyRefused::new(format!("{graph}: {message}"))
}
