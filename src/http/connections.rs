//! `GET /connections`: who is connected to this server, and `GET /graphs/{graphId}/presence`: who is there in a graph
//! (rules N5, L14).
//!
//! A connection notes here which graphs it follows and how far it is. Not here: what it is sent.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use dao_projections::{ClientId, GraphId, Timestamp, UserId, Version};
use serde::{
    Serialize, Serializer,
    de::IgnoredAny,
    ser::{Error as _, SerializeMap},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    app::App,
    connection_list::{Follows, OpenConnection, Reached},
    extractors::{PathIds, QueryParameters, ResponseFormat},
    format::{Format, respond_encoded},
    problem::Problem,
};
use crate::{live::PresentClient, write::Graphs};

/// Connections in one answer, unless asked otherwise.
const PAGE_DEFAULT: usize = 100;
/// In one answer at most: each may follow many graphs.
const PAGE_MAX: usize = 1_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionsOut {
    /// Which server this is, among those over the same store.
    instance: Uuid,
    connections: Vec<ConnectionOut>,
    next_cursor: Option<Uuid>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionOut {
    connection_id: Uuid,
    transport: &'static str,
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    since: Timestamp,
    instance: Uuid,
    /// Whether it follows all graphs at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    all_graphs: Option<bool>,
    graphs: Vec<FollowedOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FollowedOut {
    graph_id: GraphId,
    /// Up to where it was sent the graph; null until it is known.
    version: Option<Version>,
    /// Commits that it has not been sent; null until that is known, and while the graph is not in memory.
    lag: Option<u64>,
}

impl ConnectionOut {
    fn of(id: Uuid, instance: Uuid, connection: &OpenConnection, graphs: &Graphs) -> Self {
        let state = connection.state();
        let followed = |(graph, reached): (&GraphId, &Reached)| {
            let version = reached.version();
            let head = graphs.in_memory(graph).and_then(|hot| hot.head());
            let lag = head.zip(version).map(|(head, version)| head.version.since(version));
            FollowedOut { graph_id: graph.clone(), version, lag }
        };
        let (all_graphs, of_graphs) = match &state.follows {
            Follows::AllGraphs => (Some(true), vec![]),
            Follows::Graphs(followed_graphs) => (None, followed_graphs.iter().map(followed).collect()),
        };
        Self {
            connection_id: id,
            transport: connection.transport.as_str(),
            user_id: state.user.clone(),
            client_id: state.client.clone(),
            since: connection.since,
            instance,
            all_graphs,
            graphs: of_graphs,
        }
    }
}

/// List the sockets and streams of this server.
pub(super) async fn connections(
    State(app): State<App>,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let limit = query.limit(PAGE_DEFAULT, PAGE_MAX)?;
    let after = query.text("cursor").map(Uuid::parse_str).transpose();
    let after = after.map_err(|_| Problem::bad_request("cursor: must be the nextCursor of an answer"))?;
    let _turn = app.long_read().await?;
    let encode = move || {
        let all = &app.live.connections;
        let page = all.page(after, limit);
        let next_cursor = page.last().filter(|_| page.len() == limit).map(|(id, _)| *id);
        let one = |(id, connection): &(Uuid, Arc<OpenConnection>)| {
            ConnectionOut::of(*id, all.instance, connection, &app.graphs)
        };
        let connections = page.iter().map(one).collect();
        format.encode_long(&ConnectionsOut { instance: all.instance, connections, next_cursor })
    };
    let body = tokio::task::spawn_blocking(encode).await.map_err(Problem::of_panic)?;
    Ok(respond_encoded(format, body))
}

#[derive(Serialize)]
struct PresenceOut<'a> {
    clients: Vec<ClientOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientOut<'a> {
    client_id: &'a ClientId,
    user_id: &'a UserId,
    /// Since when it follows the graph.
    since: Option<Timestamp>,
    /// Whether it follows the graph.
    follows: bool,
    /// What it shows in the slot without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateOut<'a>>,
    /// What it shows in the others.
    #[serde(skip_serializing_if = "SlotsOut::is_empty")]
    slots: SlotsOut<'a>,
}

/// A state: text until it is written.
struct StateOut<'a> {
    json: &'a str,
    format: Format,
}

struct SlotsOut<'a>(BTreeMap<&'a str, StateOut<'a>>);

impl SlotsOut<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for SlotsOut<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(slot, state)| map.serialize_entry(slot, state))?;
        map.end()
    }
}

impl Serialize for StateOut<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.format {
            Format::Json => {
                serde_json::from_str::<&RawValue>(self.json).map_err(S::Error::custom)?.serialize(s)
            }
            Format::MessagePack => {
                serde_transcode::transcode(&mut serde_json::Deserializer::from_str(self.json), s)
            }
        }
    }
}

impl<'a> ClientOut<'a> {
    fn of(client: &'a PresentClient, format: Format) -> Self {
        let mut slots = BTreeMap::new();
        for update in &client.shown {
            let (slot, json) = (update.present.slot.as_str(), &*update.present.state);
            // What can't be parsed is not shown.
            if serde_json::from_str::<IgnoredAny>(json).is_ok() {
                slots.insert(slot, StateOut { json, format });
            }
        }
        let state = slots.remove("");
        let PresentClient { client, user, since, .. } = client;
        let (since, follows) = (*since, since.is_some());
        Self { client_id: client, user_id: user, since, follows, state, slots: SlotsOut(slots) }
    }
}

/// List who is there in a graph, on all servers.
pub(super) async fn presence(
    State(app): State<App>,
    ids: PathIds,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let clients = app.live.hub.clients(&graph).await;
    let _turn = app.long_read().await?;
    let encode = move || {
        let clients = clients.iter().map(|client| ClientOut::of(client, format)).collect();
        format.encode_long(&PresenceOut { clients })
    };
    let body = tokio::task::spawn_blocking(encode).await.map_err(Problem::of_panic)?;
    Ok(respond_encoded(format, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n5_how_far_a_connection_is_is_not_known_before_it_is_told() {
        let reached = Reached::default();
        assert_eq!(reached.version(), None);
        for version in [Version::EMPTY, Version::MAX] {
            reached.note(version);
            assert_eq!(reached.clone().version(), Some(version));
        }
    }

    #[test]
    fn l14_states_are_written_as_they_were_shown() {
        let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
        for json in
            ["null", "{}", "[2,-1,0.5,18446744073709551615,1e+300]", r#"{"b":{"a":["\n"]},"a":null}"#, &deep]
        {
            let value: serde_json::Value = serde_json::from_str(json).expect("JSON");
            for format in [Format::Json, Format::MessagePack] {
                let state = format.encode_long(&StateOut { json, format });
                assert_eq!(state, format.encode(&value), "{json}");
            }
        }
    }
}
