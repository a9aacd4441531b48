//! Named subscriptions over HTTP (rules S5 to S8).

mod failures;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    every_store::{Key, batch},
    support::{
        http::{Client, Reply, Request},
        server::Server,
    },
};

/// The longest that a request may wait: what it waits for comes far earlier.
const WAIT: &str = "wait=30000";

async fn put(client: &Client, name: &str, body: &Value) -> Reply {
    let mut request = Request::post(&format!("/subscriptions/{name}"), body.to_string());
    request = request.header("content-length", body.to_string().len().to_string());
    request.method = "PUT".into();
    client.ask(request).await
}

/// A subscription from the beginning, with these settings besides.
async fn subscribe(client: &Client, name: &str, more: Value) {
    let mut body = json!({"start": "beginning"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(put(client, name, &body).await.status, 201, "{name}: {body}");
}

async fn ask_next(client: &Client, name: &str, query: &str) -> Reply {
    client.ask(Request::post(&format!("/subscriptions/{name}/next?{query}"), "")).await
}

async fn next(client: &Client, name: &str, query: &str) -> Vec<Value> {
    let reply = ask_next(client, name, query).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["deliveries"].as_array().unwrap().clone()
}

fn key(delivery: &Value) -> Key {
    let commit = &delivery["commit"];
    (commit["graphId"].as_str().unwrap().to_owned(), commit["version"].as_u64().unwrap())
}

fn keys(deliveries: &[Value]) -> BTreeSet<Key> {
    deliveries.iter().map(key).collect()
}

fn set<const N: usize>(keys: [(&str, u64); N]) -> BTreeSet<Key> {
    keys.into_iter().map(|(graph, version)| (graph.to_owned(), version)).collect()
}

fn ids(deliveries: &[Value]) -> Vec<&Value> {
    deliveries.iter().map(|delivery| &delivery["deliveryId"]).collect()
}

/// Settles deliveries by one of the routes; how many were known.
async fn settle(client: &Client, name: &str, route: &str, deliveries: &[Value], more: Value) -> u64 {
    let mut body = json!({"deliveryIds": ids(deliveries)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = client.post(&format!("/subscriptions/{name}/{route}"), &body).await;
    let answer = reply.json();
    assert_eq!(reply.status, 200, "{answer}");
    let known = answer["known"].as_u64().unwrap();
    assert_eq!(answer["unknown"], deliveries.len() as u64 - known);
    known
}

async fn ack(client: &Client, name: &str, deliveries: &[Value]) -> u64 {
    settle(client, name, "ack", deliveries, json!({})).await
}

/// Takes and acknowledges all there is; each graph's versions in the order in which they came.
async fn drain(client: &Client, name: &str, max: usize) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    loop {
        let deliveries = next(client, name, &format!("max={max}")).await;
        if deliveries.is_empty() {
            return all;
        }
        for (graph, version) in deliveries.iter().map(key) {
            all.entry(graph).or_default().push(version);
        }
        assert_eq!(ack(client, name, &deliveries).await, deliveries.len() as u64);
    }
}

on_every_store! {
    s5_a_subscription_is_made_once
    s5_what_is_malformed_is_refused_with_its_place
    s5_it_begins_where_it_was_told
    s5_a_filter_is_that_of_events
    s6_a_graph_waits_for_the_commit_before
    s6_every_commit_comes_once_in_order_where_all_is_acknowledged
    s6_a_long_append_is_handed_out_one_after_the_other
    s6_a_consumer_can_wait_for_the_first_commit
    s6_a_consumer_can_wait_for_another_ones_acknowledgement
    s6_what_was_trimmed_from_the_feed_is_handed_out_too
    s7_a_lease_that_ends_is_followed_by_the_same_commit
    s8_what_is_given_back_too_often_is_parked_and_the_graph_goes_on
    s8_parked_ones_are_listed_page_by_page
    s5_the_lag_is_seen
    s6_consumers_that_race_share_the_work
    s6_who_stops_waiting_gets_nothing_and_holds_nothing
    s6_next_is_a_post_and_nothing_else_leases
    s6_one_busy_graph_goes_out_in_runs
    s6_a_run_is_settled_by_its_prefix
}

/// Consumers that all do the same, until everything is acknowledged.
async fn race(servers: &[&Server], writer: &Client) {
    subscribe(writer, "s", json!({})).await;
    let graphs = ["a", "b", "c", "d", "e", "f"];
    for graph in graphs {
        batch(writer, graph, "n", 8).await;
    }
    let consumers = servers.iter().map(|server| {
        let client = Client::new(server.address());
        tokio::spawn(async move {
            let mut told = Vec::new();
            loop {
                let deliveries = next(&client, "s", "max=2").await;
                if deliveries.is_empty() {
                    let shown = client.read("/subscriptions/s").await;
                    if shown["inFlight"] == 0 && shown["lagCommits"] == 0 {
                        return told;
                    }
                    continue;
                }
                told.extend(deliveries.iter().map(key));
                assert_eq!(ack(&client, "s", &deliveries).await, deliveries.len() as u64);
            }
        })
    });
    let mut told = Vec::new();
    for consumer in consumers.collect::<Vec<_>>() {
        told.extend(consumer.await.unwrap());
    }
    let expected: Vec<Key> = graphs.iter().flat_map(|g| (1..=8).map(|n| ((*g).to_owned(), n))).collect();
    told.sort();
    assert_eq!(told, expected, "each once");
}
