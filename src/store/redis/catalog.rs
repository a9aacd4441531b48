//! The catalog's indexes: lists of graphs from all partitions, merged.

use std::sync::Arc;

use bytes::Bytes;
use dao_projections::GraphId;
use fred::{
    prelude::Client,
    types::{Key, Value},
};
use futures::future::try_join_all;

use super::{
    RedisStore,
    keys::Partition,
    nodes::{ConnectionRole, LiveClient},
};
use crate::store::{ListOrder, ListPlace, ListQuery, ListSort, Listed, StoreError};

/// After every id that begins as the text before it does: ids are ASCII.
const AFTER_IDS: char = '\u{7f}';

/// The keys that a change of a listed graph touches besides its rows, in the order of the script.
pub(super) fn keys(partition: Partition) -> [Key; 6] {
    [
        partition.catalog(),
        partition.catalog_members(),
        partition.catalog_by("updated"),
        partition.catalog_by("created"),
        partition.catalog_by("title"),
        partition.catalog_by("id"),
    ]
}

impl RedisStore {
    /// As many of each partition as are asked for, for all of them could stand in one.
    pub(super) async fn list_graphs(&self, query: &ListQuery) -> Result<Vec<Listed>, StoreError> {
        let found =
            try_join_all(Partition::all(self.partitions).map(|p| self.list_partition(p, query))).await?;
        let mut listed: Vec<Listed> = found.into_iter().flatten().collect();
        listed.sort_unstable_by(|a, b| match query.order {
            ListOrder::Ascending => a.place.cmp(&b.place),
            ListOrder::Descending => b.place.cmp(&a.place),
        });
        listed.truncate(query.limit);
        Ok(listed)
    }

    async fn list_partition(
        &self,
        partition: Partition,
        query: &ListQuery,
    ) -> Result<Vec<Listed>, StoreError> {
        let index = match query.sort {
            ListSort::Updated => "updated",
            ListSort::Created => "created",
            ListSort::Title => "title",
            ListSort::Id => "id",
        };
        let keys = vec![partition.catalog_by(index), partition.catalog()];
        let (first, last) = bounds(query);
        let is_reverse = query.order == ListOrder::Descending;
        let (from, to) = if is_reverse { (last, first) } else { (first, last) };
        let args = vec![
            Value::from(if is_reverse { "1" } else { "0" }),
            Value::Bytes(from.into()),
            Value::Bytes(to.into()),
            Value::from(query.limit.to_string()),
        ];
        let call = async |live: Arc<LiveClient<Client>>| {
            let script = &self.row_scripts.list_graphs;
            script.evalsha_with_reload::<Value, _, _>(&live.client, keys.clone(), args.clone()).await
        };
        let Value::Array(reply) = self.ask(partition.slot(), ConnectionRole::Reader, call).await? else {
            return Ok(vec![]);
        };
        Ok(reply.get(1..).unwrap_or_default().chunks_exact(2).filter_map(listed).collect())
    }
}

/// A member and its row.
fn listed(pair: &[Value]) -> Option<Listed> {
    let [member, row] = pair else { return None };
    let member = std::str::from_utf8(member.as_bytes()?).ok()?;
    let (key, graph) = member.rsplit_once('\0')?;
    let place = ListPlace { key: key.to_owned(), graph: GraphId::parse(graph).ok()? };
    Some(Listed { place, row: Bytes::copy_from_slice(row.as_bytes()?) })
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
