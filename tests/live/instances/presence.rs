//! Rule W7: presence on other instances.

use std::time::Duration;

use dao_api::{live::LiveConfig, store::EventStore};
use dao_projections::Head;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{channel, on, until_subscribed};
use crate::support::{
    follower::{Instance, patient},
    history::{graph, grow},
    proxy::Proxy,
    redis::RedisServer,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w7_presence_goes_to_other_instances_and_back() {
    let redis = RedisServer::start();
    let (a, b, c, g) = (on(&redis).await, on(&redis).await, on(&redis).await, graph("g"));
    let (on_a, on_b) = (a.follow(&g).await, b.follow(&g).await);
    until_subscribed(&redis, &channel("g"), 2).await;
    let [ada, bob] = [Uuid::now_v7(), Uuid::now_v7()];
    for x in 0..50 {
        on_a.show(ada, "ada", json!({"x": x}));
    }
    on_b.until_shown("ada", json!({"x": 49})).await;
    on_b.show(bob, "bob", json!(["smessage", "subscribe", 1.5, u64::MAX, null]));
    on_a.until_shown("bob", json!(["smessage", "subscribe", 1.5, u64::MAX, null])).await;

    let on_c = c.follow(&g).await;
    on_c.until_shown("ada", json!({"x": 49})).await;
    on_c.until_shown("bob", json!(["smessage", "subscribe", 1.5, u64::MAX, null])).await;

    on_a.followed.room().leave(ada);
    on_b.until_shown("ada", Value::Null).await;
    on_c.until_shown("ada", Value::Null).await;
    drop(on_b); // the last there who follows the graph
    on_c.until_shown("bob", Value::Null).await;
    assert_eq!(a.store.head(&g).await.unwrap(), Head::EMPTY, "presence is not stored");
    assert_eq!(redis.keys("dao:{*"), Vec::<String>::new(), "nowhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w7_a_stopping_server_clears_the_presence_of_its_clients() {
    let redis = RedisServer::start();
    let (a, b, g) = (on(&redis).await, on(&redis).await, graph("g"));
    let (on_a, on_b) = (a.follow(&g).await, b.follow(&g).await);
    until_subscribed(&redis, &channel("g"), 2).await;
    on_a.show(Uuid::now_v7(), "ada", json!(1));
    on_b.until_shown("ada", json!(1)).await;
    a.hub.close().await;
    on_b.until_shown("ada", Value::Null).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w7_presence_of_a_dead_server_expires_and_other_presence_stays() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port()).await;
    let live = LiveConfig {
        presence_every: Duration::from_millis(200),
        presence_expiry: Duration::from_millis(1_500),
        ..patient()
    };
    let started = async |url: String| Instance::partitioned(url, live, Some(1)).await;
    let (a, b, c) = (started(redis.url()).await, started(proxy.url()).await, started(redis.url()).await);
    let g = graph("g");
    let (on_a, on_b, on_c) = (a.follow(&g).await, b.follow(&g).await, c.follow(&g).await);
    until_subscribed(&redis, &channel("g"), 3).await;
    on_b.show(Uuid::now_v7(), "bob", json!(1));
    on_c.show(Uuid::now_v7(), "eve", json!(1));
    on_a.until_shown("bob", json!(1)).await;
    on_a.until_shown("eve", json!(1)).await;

    proxy.cut_off(); // to the others, that is its death
    on_a.until_shown("bob", Value::Null).await;
    on_c.until_shown("bob", Value::Null).await;
    on_a.until_shown("eve", json!(1)).await;
}

/// Two databases of one server share channels, but not graphs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w7_databases_of_one_redis_do_not_share_presence() {
    let redis = RedisServer::start();
    let zero = on(&redis).await;
    let one = Instance::partitioned(format!("{}/1", redis.url()), patient(), Some(1)).await;
    let also_one = Instance::partitioned(format!("{}/1", redis.url()), patient(), Some(1)).await;
    let g = graph("g");
    let (in_zero, in_one, witness) = (zero.follow(&g).await, one.follow(&g).await, also_one.follow(&g).await);
    until_subscribed(&redis, &channel("g"), 1).await;
    until_subscribed(&redis, "dao:{0}:live:1:g", 2).await;
    in_one.show(Uuid::now_v7(), "ada", json!(1));
    witness.until_shown("ada", json!(1)).await;
    assert!(in_zero.followed.room().since(0, Uuid::nil(), usize::MAX).1.is_empty());
    grow(&*one.store, &graph("other"), Head::EMPTY, [1]).await;
    assert_eq!(zero.store.head(&graph("other")).await.unwrap(), Head::EMPTY);
}
