//! `dao-api seed`: creates an example graph by three users, through the normal command path.
//!
//! The story is data, `story.json`: each step has its user, its command, how many commits of others the user had not
//! seen, and the expected outcome. Operation ids follow from the graph and the number of the step, so a stopped run
//! continues where it was, and a repeated one changes nothing. Times are not in the story: commits carry the time at
//! which they are written (rule V5).

use std::io::Write;

use clap::Args;
use dao_projections::{GraphId, Head, OperationId, Outcome, UserId, Version};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CliError, print, writing::Writing};
use crate::{
    config::Config,
    domain::Operation,
    http::{parse_batch, parse_command, read_document},
    write::{Effect, Ending, Graphs, history_reader},
};

/// The steps.
const STORY: &str = include_str!("story.json");

#[derive(Args)]
pub(super) struct Seed {
    /// The graph to create; it must be empty
    #[arg(long, value_name = "ID", default_value = "example")]
    graph: GraphId,
}

/// One step of the story.
#[derive(Deserialize)]
struct Step {
    by: String,
    does: Does,
    /// How many of the latest commits its author had not seen.
    #[serde(default)]
    unseen: u64,
    #[serde(flatten)]
    asks: Asks,
}

/// The expected outcome of a step.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Does {
    Applied,
    Merged,
    Unchanged,
    Refused,
}

impl Does {
    fn makes_a_commit(self) -> bool {
        matches!(self, Self::Applied | Self::Merged)
    }

    fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Completed { effect: Effect::Committed(Outcome::Applied), .. } => Self::Applied,
            Ending::Completed { effect: Effect::Committed(Outcome::Merged), .. } => Self::Merged,
            Ending::Completed { effect: Effect::Unchanged, .. } => Self::Unchanged,
            Ending::Refused { .. } => Self::Refused,
        }
    }
}

/// A command, or an atomic batch of them, as HTTP takes them.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Asks {
    Command(Value),
    Batch(Vec<Value>),
}

/// The graph before the run.
enum Found {
    Nothing,
    /// The story, from its start up to this version.
    Story(Version),
    SomethingElse(Version),
}

impl Seed {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let failed = |problem: String| CliError::new(format!("the story can't be read: {problem}"));
        let story = read_document(STORY.as_bytes(), &config.requests).map_err(|e| failed(e.problem))?;
        let steps: Vec<Step> = serde_json::from_value(story.value).map_err(|e| failed(e.to_string()))?;
        let writing = Writing::open(&config).await?;
        let told = self.tell(&writing, &steps).await;
        writing.close().await;
        told
    }

    async fn tell(&self, writing: &Writing, steps: &[Step]) -> Result<(), CliError> {
        let (graph, graphs) = (&self.graph, writing.graphs());
        let commits = commits(steps);
        let what = match self.found(graphs).await? {
            Found::SomethingElse(version) => {
                return Err(CliError::new(format!(
                    "{graph} already has a history, up to version {version}: choose another with --graph"
                )));
            }
            Found::Story(version) if version.get() >= commits => "already exists",
            Found::Story(_) | Found::Nothing => {
                self.act(graphs, steps).await?;
                "is created"
            }
        };
        // Also of a run that was stopped.
        let head = graphs.store().head(graph).await;
        let head = head.map_err(|e| CliError::new(format!("{graph} can't be read: {e}")))?;
        writing.fold(graph, head.version).await?;
        print(|out| self.say_what_to_look_at(what, steps, out))
    }

    async fn found(&self, graphs: &Graphs) -> Result<Found, CliError> {
        let graph = &self.graph;
        let failed = |e: &dyn std::fmt::Display| CliError::new(format!("{graph} can't be read: {e}"));
        let head = graphs.store().head(graph).await.map_err(|e| failed(&e))?;
        let first =
            graphs.store().read(graph, Version::EMPTY, head.version, 1).await.map_err(|e| failed(&e))?;
        let Some(first) = first.first() else {
            return Ok(if head == Head::EMPTY { Found::Nothing } else { Found::SomethingElse(head.version) });
        };
        let commit = history_reader::decode(graph, first).map_err(|e| failed(&e))?;
        Ok(match commit.body.operation_id == operation_id(graph, 0) {
            true => Found::Story(head.version),
            false => Found::SomethingElse(head.version),
        })
    }

    async fn act(&self, graphs: &Graphs, steps: &[Step]) -> Result<(), CliError> {
        let graph = &self.graph;
        let mut version = 0_u64;
        for (index, step) in steps.iter().enumerate() {
            let sees = version.saturating_sub(step.unseen);
            let operation = operation(graph, index, step, sees)
                .map_err(|problem| CliError::new(format!("step {index} of the story: {problem}")))?;
            let answers = graphs.execute(graph, vec![operation]).await;
            let answers = answers.map_err(|e| {
                CliError::new(format!("the seeding stopped: {e}; run the same command to continue"))
            })?;
            let done = answers.first().map(|answer| Does::of(&answer.ending));
            if done != Some(step.does) {
                return Err(CliError::new(format!(
                    "step {index} of the story by {} should be {:?} but is {done:?}: somebody else writes to {graph}; \
                     choose another graph with --graph",
                    step.by, step.does
                )));
            }
            version += u64::from(step.does.makes_a_commit());
        }
        Ok(())
    }

    fn say_what_to_look_at(&self, what: &str, steps: &[Step], out: &mut dyn Write) -> std::io::Result<()> {
        let (graph, last) = (&self.graph, commits(steps));
        let count = |does: Does| steps.iter().filter(|step| step.does == does).count();
        let (merged, refused) = (count(Does::Merged), count(Does::Refused));
        // The middle of the story, for an example of `diff`.
        let middle = last / 2;
        writeln!(
            out,
            "{graph} {what}: {last} commits by ada, bob and carol, {merged} of them merged; {refused} operations \
             refused\n\n  \
             dao-api history {graph}                   every operation, refused ones too\n  \
             dao-api history {graph} --node refund     changes of one node, before and after\n  \
             dao-api show {graph} --at {middle}              the graph as it was at version {middle}\n  \
             dao-api diff {graph} --from {middle} --to {last}   what changed since then\n  \
             dao-api verify {graph}                    check that the history is intact\n  \
             dao-api watch {graph} --from 0            all commits, from a running server"
        )
    }
}

fn commits(steps: &[Step]) -> u64 {
    steps.iter().filter(|step| step.does.makes_a_commit()).count() as u64
}

/// The same ids at every run: UUIDv5 of the graph's name, and of that and the number of the step.
fn operation_id(graph: &GraphId, index: usize) -> OperationId {
    let name = format!("dao-api seed {graph}");
    OperationId::from(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())).member(index)
}

fn operation(graph: &GraphId, index: usize, step: &Step, sees: u64) -> Result<Operation, String> {
    let user = UserId::parse(&step.by).map_err(|e| e.to_string())?;
    let id = operation_id(graph, index).to_string();
    let client = format!("{user}-laptop");
    match &step.asks {
        Asks::Command(command) => {
            let mut command = command.clone();
            if let Value::Object(fields) = &mut command {
                fields.insert("operationId".to_owned(), id.into());
                fields.insert("clientId".to_owned(), client.into());
                fields.insert("clientVersion".to_owned(), sees.into());
            }
            parse_command(command, &user)
        }
        Asks::Batch(members) => {
            let batch = json!({"batchId": id, "atomic": true, "clientId": client, "clientVersion": sees, "operations": members});
            parse_batch(batch, &user, members.len())?.pop().ok_or_else(|| "an empty batch".to_owned())
        }
    }
}
