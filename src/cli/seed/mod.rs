//! `dao-api seed`: creates an example graph by three users, through the normal command path.
//!
//! The story is data, `story.json`: each step has its user, its command, how many commits of others the user had not
//! seen, and the expected outcome. Operation ids follow from the graph and the number of the step, so a stopped run
//! continues where it was, and a repeated one changes nothing. Times are not in the story: commits carry the time at
//! which they are written (rule V5).

use std::io::Write;

use clap::Args;
use dao_projections::{GraphId, OperationId, UserId, Version};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    api::{Api, Refused},
    error::CliError,
    graphs::Done,
    output::print,
    reach::Reach,
};
use crate::{config::Config, http::read_document};

/// The steps.
const STORY: &str = include_str!("story.json");

#[derive(Args)]
pub(super) struct Seed {
    /// The graph to create; it must be empty
    #[arg(long, value_name = "ID", default_value = "example")]
    graph: GraphId,
    #[command(flatten)]
    reach: Reach,
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

    fn of(answer: Result<Value, Refused>) -> Result<Self, Refused> {
        let done: Done = match answer {
            Ok(answer) => serde_json::from_value(answer).map_err(|e| Refused::unreadable(&e))?,
            Err(refused) if refused.is_certain() => return Ok(Self::Refused),
            Err(refused) => return Err(refused),
        };
        Ok(match done.outcome.as_str() {
            "applied" => Self::Applied,
            "merged" => Self::Merged,
            _ => Self::Unchanged,
        })
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

/// How a history begins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    current_version: Version,
    changes: Vec<First>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct First {
    operation_id: Option<OperationId>,
}

impl Seed {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let failed = |problem: String| CliError::new(format!("the story can't be read: {problem}"));
        let story = read_document(STORY.as_bytes(), &config.requests).map_err(|e| failed(e.problem))?;
        let steps: Vec<Step> = serde_json::from_value(story.value).map_err(|e| failed(e.to_string()))?;
        let mut api = Api::connect(&config, &self.reach).await?;
        let told = self.tell(&mut api, &steps).await;
        api.close().await;
        told
    }

    async fn tell(&self, api: &mut Api, steps: &[Step]) -> Result<(), CliError> {
        api.only_for_owners("seed")?;
        let (graph, commits) = (&self.graph, commits(steps));
        let what = match self.found(api).await? {
            Found::SomethingElse(version) => {
                return Err(CliError::new(format!(
                    "{graph} already has a history, up to version {version}: choose another with --graph"
                )));
            }
            Found::Story(version) if version.get() >= commits => "already exists",
            Found::Story(_) | Found::Nothing => {
                self.act(api, steps).await?;
                "is created"
            }
        };
        // Also of a run that was stopped.
        let Start { current_version, .. } = self.start(api).await?;
        let told = print(|out| self.say_what_to_look_at(what, steps, out));
        told.and(api.fold(graph, current_version).await)
    }

    async fn start(&self, api: &mut Api) -> Result<Start, CliError> {
        let start = api.read(&format!("/graphs/{}/changes?since=0&limit=1", self.graph)).await;
        start.map_err(|e| CliError::new(format!("{} can't be read: {e}", self.graph)))
    }

    async fn found(&self, api: &mut Api) -> Result<Found, CliError> {
        let Start { current_version, changes } = self.start(api).await?;
        let id = operation_id(&self.graph, 0);
        Ok(match changes.first() {
            None if current_version == Version::EMPTY => Found::Nothing,
            Some(first) if first.operation_id == Some(id) => Found::Story(current_version),
            Some(_) | None => Found::SomethingElse(current_version),
        })
    }

    async fn act(&self, api: &mut Api, steps: &[Step]) -> Result<(), CliError> {
        let graph = &self.graph;
        let mut version = 0_u64;
        for (index, step) in steps.iter().enumerate() {
            let sees = version.saturating_sub(step.unseen);
            let (path, user, body) = request(graph, index, step, sees)
                .map_err(|problem| CliError::new(format!("step {index} of the story: {problem}")))?;
            let done = Does::of(api.post(&path, Some(&user), &body).await).map_err(|e| {
                CliError::new(format!("the seeding stopped: {e}; run the same command to continue"))
            })?;
            if done != step.does {
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

/// The path, the user and the body of a step.
fn request(graph: &GraphId, index: usize, step: &Step, sees: u64) -> Result<(String, UserId, Value), String> {
    let user = UserId::parse(&step.by).map_err(|e| e.to_string())?;
    let id = operation_id(graph, index);
    let client = format!("{user}-laptop");
    let (what, body) = match &step.asks {
        Asks::Command(command) => {
            let mut command = command.clone();
            command["operationId"] = json!(id);
            command["clientId"] = json!(client);
            command["clientVersion"] = json!(sees);
            ("command", command)
        }
        Asks::Batch(members) => {
            let batch = json!({"batchId": id, "atomic": true, "clientId": client, "clientVersion": sees, "operations": members});
            ("batch", batch)
        }
    };
    Ok((format!("/graphs/{graph}/{what}"), user, body))
}
