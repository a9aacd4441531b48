//! A `CREATE_GRAPH` that copies another graph, judged (rule L7).

use dao_projections::{Attributes, Edge, Event, Graph, Head, MergePatch, Node, Origin, Outcome};

use super::{
    HistoryMissing,
    judgement::{Judged, Judgement},
    verdict::Decided,
};
use crate::domain::{
    copy::{COPY_BYTES_MAX, CopyFrom, CopyPart, Source, forked},
    lifecycle::create_graph,
    limits::{Limits, SETTINGS},
    refusal::{Details, Reason, Refusal},
    rejection::Rejection,
};

impl Judgement<'_> {
    pub(super) fn judge_copy(&self, from: &CopyFrom, given: &Attributes) -> Judged {
        let head = self.graph.head();
        if head != Head::EMPTY && from.part != CopyPart::Fork {
            return Ok(Err(self.refusal(Rejection::GraphExists)?));
        }
        let source = self.history.source(from);
        let source = source.ok_or_else(|| HistoryMissing::Source(Box::new(from.clone())))?;
        let (origin, graph) = match source {
            Source::Found { origin, graph } => (origin, graph),
            missing => return Ok(Err(not_copied(from, missing))),
        };
        let is_complete = head == Head { version: origin.version, hash: origin.hash };
        if from.part == CopyPart::Fork && !is_complete {
            return Ok(Err(self.refusal(Rejection::GraphExists)?));
        }
        let events = match from.part {
            CopyPart::History | CopyPart::Fork => forked((origin, graph), given),
            part @ (CopyPart::Contents | CopyPart::Outline) => {
                copied_contents(self.graph, (origin, graph), part, given, self.limits)
            }
        };
        match events {
            Ok(events) => Ok(Ok(Decided::of(events, Outcome::Applied))),
            Err(rejection) => Ok(Err(self.refusal(rejection)?)),
        }
    }
}

fn not_copied(from: &CopyFrom, source: &Source) -> Refusal {
    let id = &from.graph;
    match source {
        Source::NotFound => {
            Refusal::new(Reason::GraphNotFound, format!("Graph {id}, which is to be copied, does not exist"))
        }
        Source::Trashed(trashed) => {
            let message = format!("Graph {id}, which is to be copied, is in the trash");
            let details = Some(Box::new(Details::Trashed(trashed.clone())));
            Refusal { details, ..Refusal::new(Reason::GraphTrashed, message) }
        }
        Source::NoVersion { version, head } => {
            let message = format!("Graph {id} has no version {version}. It is at version {head}");
            Refusal::new(Reason::VersionNotFound, message)
        }
        Source::NoLabel(name) => {
            Refusal::new(Reason::LabelNotFound, format!("Graph {id} has no label {name}"))
        }
        Source::TooLarge | Source::Found { .. } => {
            let message = format!(
                "What is to be copied of graph {id} is more than one command copies: {COPY_BYTES_MAX} bytes, or 20000 \
                 commits of its history. Copy it with `dao-api copy`, which does it in pieces."
            );
            Refusal::new(Reason::AnswerTooLarge, message)
        }
    }
}

/// The graph is created with what the other one holds. Settings stay behind: they need another right (rule L5).
pub(in crate::domain) fn copied_contents(
    graph: &Graph,
    (origin, source): (&Origin, &Graph),
    part: CopyPart,
    given: &Attributes,
    limits: &Limits,
) -> Result<Vec<Event>, Rejection> {
    let mut fields = source.metadata().attributes.fields().clone();
    fields.shift_remove(SETTINGS);
    let attributes = Attributes::new(fields).patched(&MergePatch::new(given.fields().clone()));
    let has_contents = part == CopyPart::Contents;
    let nodes: Vec<Node> =
        source.nodes_in_order().filter(|_| has_contents).map(|node| node.entity.clone()).collect();
    let edges: Vec<Edge> =
        source.edges().iter().filter(|_| has_contents).map(|edge| edge.entity.clone()).collect();
    let viewport = Some(source.viewport()).filter(|_| has_contents);
    create_graph(graph, (&attributes, Some(origin)), (&nodes, &edges, viewport), limits)
}
