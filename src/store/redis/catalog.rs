//! The catalog's indexes: lists of graphs from all partitions, merged.
//!
//! A piece is found by its places alone. What a list shows is read only of the graphs that somebody wants to see.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use dao_projections::GraphId;
use fred::{
    interfaces::HashesInterface,
    prelude::Client,
    types::{Key, Value},
};
use futures::future::try_join_all;

use super::{
    keys::Partition,
    nodes::{ConnectionRole, LiveClient},
    redis_store::RedisStore,
};
use crate::store::{ListOrder, ListPiece, ListPlace, ListQuery, ListSort, StoreError};

/// After every id that begins as the text before it does: ids are ASCII.
const AFTER_IDS: char = '\u{7f}';
/// Places asked of each partition beyond its share of the piece: so that seldom one of them ends it early.
const SPARE: usize = 16;
/// A field that no list has: what somebody else chose must not come first in a reply.
const NO_GRAPH: &str = "!";

/// The keys that a change of a listed graph touches besides its rows, in the order of the scripts.
pub(super) fn keys(partition: Partition) -> [Key; 7] {
    [
        partition.catalog(),
        partition.catalog_members(),
        partition.catalog_by("updated"),
        partition.catalog_by("created"),
        partition.catalog_by("title"),
        partition.catalog_by("id"),
        partition.catalog_trash(),
    ]
}

impl RedisStore {
    /// Graphs are spread over the partitions by their names, so each is asked for little more than its share. The piece ends
    /// where the first of them that may have more does.
    pub(super) async fn list_graphs(&self, query: &ListQuery) -> Result<ListPiece, StoreError> {
        let share = (2 * query.limit / self.partitions.max(1) as usize + SPARE).min(query.limit.max(1));
        let of = |p: Partition| self.list_partition(p, query, share);
        let found = try_join_all(Partition::all(self.partitions).map(of)).await?;
        let is_before = |a: &ListPlace, b: &ListPlace| match query.order {
            ListOrder::Ascending => a < b,
            ListOrder::Descending => a > b,
        };
        let full = found.iter().filter(|places| places.len() >= share);
        let ends = full.filter_map(|places| places.last().cloned());
        let end = ends.reduce(|first, other| if is_before(&other, &first) { other } else { first });
        let mut places: Vec<ListPlace> = found.into_iter().flatten().collect();
        places.retain(|place| end.as_ref().is_none_or(|end| !is_before(end, place)));
        places.sort_unstable_by(|a, b| match query.order {
            ListOrder::Ascending => a.cmp(b),
            ListOrder::Descending => b.cmp(a),
        });
        let is_end = end.is_none() && places.len() <= query.limit;
        places.truncate(query.limit);
        Ok(ListPiece { places, is_end })
    }

    async fn list_partition(
        &self,
        partition: Partition,
        query: &ListQuery,
        count: usize,
    ) -> Result<Vec<ListPlace>, StoreError> {
        let index = match query.sort {
            ListSort::Updated => "updated",
            ListSort::Created => "created",
            ListSort::Title => "title",
            ListSort::Id => "id",
        };
        let keys = vec![partition.catalog_by(index)];
        let (first, last) = bounds(query);
        let is_reverse = query.order == ListOrder::Descending;
        let (from, to) = if is_reverse { (last, first) } else { (first, last) };
        let args = vec![
            Value::from(if is_reverse { "1" } else { "0" }),
            Value::Bytes(from.into()),
            Value::Bytes(to.into()),
            Value::from(count.to_string()),
        ];
        let call = async |live: Arc<LiveClient<Client>>| {
            let script = &self.read_side.list_graphs;
            script.evalsha_with_reload::<Value, _, _>(&live.client, keys.clone(), args.clone()).await
        };
        let Value::Array(reply) = self.ask(partition.slot(), ConnectionRole::Reader, call).await? else {
            return Ok(vec![]);
        };
        Ok(reply.iter().skip(1).filter_map(place).collect())
    }

    /// What lists show of these graphs: one read for each partition that has any of them.
    pub(super) async fn rows_of_list(&self, graphs: &[GraphId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut by_partition: HashMap<u32, Vec<usize>> = HashMap::new();
        for (index, graph) in graphs.iter().enumerate() {
            by_partition.entry(self.partition(graph).number()).or_default().push(index);
        }
        let read = async |(number, indexes): (u32, Vec<usize>)| {
            let partition = Partition::numbered(number);
            let names = indexes.iter().map(|index| graphs[*index].as_str());
            let fields: Vec<Key> = [NO_GRAPH].into_iter().chain(names).map(Key::from).collect();
            let get = async |live: Arc<LiveClient<Client>>| {
                live.client.hmget::<Value, _, _>(partition.catalog(), fields.clone()).await
            };
            let reply = self.ask(partition.slot(), ConnectionRole::Reader, get).await?;
            Ok::<_, StoreError>((indexes, reply))
        };
        let mut rows = vec![None; graphs.len()];
        for (indexes, reply) in try_join_all(by_partition.into_iter().map(read)).await? {
            let Value::Array(values) = reply else { continue };
            for (index, value) in indexes.into_iter().zip(values.iter().skip(1)) {
                rows[index] = value.as_bytes().map(Bytes::copy_from_slice);
            }
        }
        Ok(rows)
    }

    /// Graphs in the trash that may be purged before this time, after the first `skip`.
    pub(super) async fn due(
        &self,
        before_ms: u64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<GraphId>, StoreError> {
        let mut due = Vec::new();
        let wanted = skip.saturating_add(limit);
        for partition in Partition::all(self.partitions) {
            let room = wanted.saturating_sub(due.len());
            if room == 0 {
                break;
            }
            let args = vec![before_ms.to_string(), room.to_string()];
            let call = async |live: Arc<LiveClient<Client>>| {
                let script = &self.read_side.due_for_purge;
                let keys = vec![partition.catalog_trash()];
                script.evalsha_with_reload::<Value, _, _>(&live.client, keys, args.clone()).await
            };
            let reply = self.ask(partition.slot(), ConnectionRole::Reader, call).await?;
            let Value::Array(names) = reply else { continue };
            due.extend(names.iter().skip(1).filter_map(|name| GraphId::parse(&name.as_str()?).ok()));
        }
        due.drain(..skip.min(due.len()));
        Ok(due)
    }
}

/// The place that a member names.
fn place(member: &Value) -> Option<ListPlace> {
    let member = std::str::from_utf8(member.as_bytes()?).ok()?;
    let (key, graph) = member.rsplit_once('\0')?;
    Some(ListPlace { key: key.to_owned(), graph: GraphId::parse(graph).ok()? })
}

/// The lower and the upper bound of members.
fn bounds(query: &ListQuery) -> (String, String) {
    let (mut first, mut last) = match query.sort {
        ListSort::Id => (format!("[\0{}", query.prefix), format!("(\0{}{AFTER_IDS}", query.prefix)),
        ListSort::Updated | ListSort::Created | ListSort::Title => ("-".to_owned(), "+".to_owned()),
    };
    if let Some(ListPlace { key, graph }) = &query.after {
        let after = format!("({key}\0{graph}");
        match query.order {
            ListOrder::Ascending => first = after,
            ListOrder::Descending => last = after,
        }
    }
    (first, last)
}
