//! A reader that is further behind than the feed reaches: it reads the histories of graphs.

use dao_projections::{GraphId, Head, Version};
use futures::{StreamExt, stream};

use super::{AllReader, HISTORY_PIECE, NAMES, Piece, ReadPhase};
use crate::{
    live::all_graphs::{
        feed_commits::{CommitRun, READS_AT_ONCE, STEP_COMMITS, read_log},
        position::Position,
    },
    store::StoreError,
    write::history_reader,
};

impl AllReader {
    /// The histories of some graphs, by name, each up to the head it has now.
    pub(super) async fn step_histories(&mut self) -> Result<Vec<Piece>, StoreError> {
        let ReadPhase::Histories(names) = &self.phase else { return Ok(vec![]) };
        let Some(histories) = &self.position.histories else { return Ok(vec![]) };
        let sources = &self.all.sources;
        if names.is_empty() {
            let page = sources.graphs.store().graphs(histories.graph.as_ref(), NAMES).await?;
            if page.is_empty() {
                let places = self.position.places.clone();
                self.move_to(Position::at(places));
                self.phase = ReadPhase::Start;
            } else {
                self.phase = ReadPhase::Histories(page.into());
            }
            return Ok(vec![]);
        }
        let is_wanted = |graph: &GraphId| {
            histories.parts.contains(&sources.feed.feed_part(graph)) && self.filter.wants_graph(graph)
        };
        // A step holds so many commits, of one history or of several.
        let wanted = names.iter().filter(|graph| is_wanted(graph)).take(READS_AT_ONCE).count();
        let limit = (STEP_COMMITS / wanted.max(1)).max(HISTORY_PIECE);
        let mut reads = Vec::new();
        let mut considered = Vec::new();
        for graph in names {
            if reads.len() == READS_AT_ONCE {
                break;
            }
            considered.push((graph.clone(), is_wanted(graph)));
            if is_wanted(graph) {
                let is_begun = histories.graph.as_ref() == Some(graph);
                let after = if is_begun { histories.version } else { Version::EMPTY };
                reads.push(self.history(graph.clone(), after, limit));
            }
        }
        let runs: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).collect().await;
        self.tell_histories(considered, runs)
    }

    /// What one read gives of a graph's history, and the head it goes up to.
    async fn history(
        &self,
        graph: GraphId,
        after: Version,
        limit: usize,
    ) -> Result<(Head, CommitRun), StoreError> {
        let graphs = &self.all.sources.graphs;
        let head = match graphs.store().head(&graph).await {
            Ok(head) => head,
            // Nobody can say where it ends: the read says what is wrong with it.
            Err(StoreError::Corrupt { .. }) => Head { version: Version::MAX, ..Head::EMPTY },
            Err(error) => return Err(error),
        };
        let mut run = read_log(graphs, &graph, after, head.version, limit).await?;
        if run.commits.is_empty() && run.damage.is_none() && after < head.version {
            match history_reader::ends_early(&**graphs.store(), &graph, after.next(), |now| now == head).await
            {
                damage @ StoreError::Corrupt { .. } => run.damage = Some(damage),
                error => return Err(error),
            }
        }
        Ok((head, run))
    }

    fn tell_histories(
        &mut self,
        considered: Vec<(GraphId, bool)>,
        runs: Vec<Result<(Head, CommitRun), StoreError>>,
    ) -> Result<Vec<Piece>, StoreError> {
        let mut runs = runs.into_iter();
        let mut pieces = Vec::new();
        for (index, (graph, is_wanted)) in considered.into_iter().enumerate() {
            let (head, run) = match is_wanted.then(|| runs.next()).flatten() {
                None => (Head::EMPTY, CommitRun::default()),
                Some(Ok(read)) => read,
                Some(Err(error)) if index == 0 => return Err(error),
                Some(Err(_)) => break,
            };
            let last = run.commits.last().map(|last| last.commit.version);
            let is_whole = run.damage.is_some() || last.is_none_or(|last| last >= head.version);
            self.begin_history(&graph);
            for commits in run.commits.chunks(HISTORY_PIECE) {
                let before = self.position();
                if let (Some(histories), Some(last)) = (&mut self.position.histories, commits.last()) {
                    histories.version = last.commit.version;
                }
                self.text = None;
                self.tell(&mut pieces, graph.clone(), commits.to_vec(), None, before);
            }
            let before = self.position();
            self.tell(&mut pieces, graph, vec![], run.damage, before);
            match &mut self.phase {
                ReadPhase::Histories(names) if is_whole => drop(names.pop_front()),
                _ => break,
            }
        }
        Ok(pieces)
    }

    /// From now on the position is in this graph's history: at its beginning, unless it is there already.
    fn begin_history(&mut self, graph: &GraphId) {
        let Some(histories) = &mut self.position.histories else { return };
        if histories.graph.as_ref() != Some(graph) {
            (histories.graph, histories.version) = (Some(graph.clone()), Version::EMPTY);
            self.text = None;
        }
    }
}
