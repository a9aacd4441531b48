//! A document saved whole over what others did meanwhile (rules DS). What a save comes to is specified in
//! `tests/spec/document/`; here is what its client sends and gets.

use serde_json::{Value, json};

use crate::support::{
    graph::{command, new_id, with},
    http::{Client, Reply, Request},
    redis::RedisServer,
    server::Server,
};

/// Nodes a and b and an edge a-b at version 1, an editor of Ada's and one of Bob's.
struct Desk {
    server: Server,
    ada: Client,
    bob: Client,
}

impl Desk {
    async fn new() -> Self {
        Self::on(Server::start().await).await
    }

    async fn on(server: Server) -> Self {
        let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
        let content = json!({
            "nodes": [{"id": "a", "data": {"label": "a"}}, {"id": "b", "data": {"label": "b"}}],
            "edges": [{"id": "ab", "source": "a", "target": "b"}],
        });
        ada.apply("g", "BATCH_UPDATE", content).await;
        Self { server, ada, bob }
    }

    async fn bob_labels(&self, id: &str, label: &str) {
        self.bob
            .apply("g", "UPDATE_NODE", json!({"nodeId": id, "updates": {"data": {"label": label}}}))
            .await;
    }
}

/// The document and its base, as an editor loads it.
async fn load(client: &Client) -> (Value, String) {
    let reply = client.get("/graphs/g/document").await;
    assert_eq!(reply.status, 200);
    (reply.json(), reply.header("x-base").unwrap().to_owned())
}

fn put(query: &str, document: &Value) -> Request {
    let body = document.to_string();
    let path = format!("/graphs/g/document{query}");
    Request { body: body.into_bytes(), ..Request::new("PUT", &path) }
        .header("content-type", "application/json")
}

async fn save(client: &Client, base: &str, document: &Value) -> Reply {
    client.ask(put(&format!("?base={base}"), document)).await
}

fn accepted(reply: &Reply, outcome: &str) -> Value {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let answer = reply.json();
    assert_eq!(answer["outcome"], outcome, "{answer}");
    answer
}

fn labelled(document: &Value, id: &str, label: &str) -> Value {
    let mut document = document.clone();
    let nodes = document["nodes"].as_array_mut().unwrap();
    nodes.iter_mut().find(|node| node["id"] == id).unwrap()["data"]["label"] = json!(label);
    document
}

fn without(document: &Value, ids: &[&str]) -> Value {
    let mut document = document.clone();
    for list in ["nodes", "edges"] {
        document[list]
            .as_array_mut()
            .unwrap()
            .retain(|entity| !ids.contains(&entity["id"].as_str().unwrap()));
    }
    document
}

fn added(document: &Value, node: Value) -> Value {
    let mut document = document.clone();
    document["nodes"].as_array_mut().unwrap().push(node);
    document
}

async fn label_of(client: &Client, id: &str) -> Value {
    client.read(&format!("/graphs/g/nodes/{id}")).await["data"]["label"].clone()
}

#[tokio::test]
async fn ds1_a_document_is_what_an_editor_needs_and_nothing_of_the_servers() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    assert_eq!(
        document["nodes"][0],
        json!({"id": "a", "position": {"x": 0, "y": 0}, "data": {"label": "a"}})
    );
    assert_eq!(document["edges"], json!([{"id": "ab", "source": "a", "target": "b"}]));
    assert_eq!(document["viewport"], json!({"x": 0, "y": 0, "zoom": 1}));
    let head = desk.ada.state("g").await;
    assert_eq!(base, format!("1:{}", head["hash"].as_str().unwrap()));
    let tag = desk.ada.get("/graphs/g/document").await.header("etag").unwrap().to_owned();
    let again = desk.ada.ask(Request::get("/graphs/g/document").header("if-none-match", &tag)).await;
    assert_eq!(again.status, 304);
    desk.bob_labels("b", "B").await;
    assert_eq!(desk.ada.read("/graphs/g/document?version=1").await, document);
}

#[tokio::test]
async fn ds2_disjoint_edits_of_two_savers_both_stand() {
    for redis in [None, Some(RedisServer::start())] {
        let server = match &redis {
            None => Server::start().await,
            Some(redis) => Server::on_redis(redis).await,
        };
        let desk = Desk::on(server).await;
        let (document, base) = load(&desk.ada).await;
        desk.bob_labels("b", "B").await;
        let answer = accepted(&save(&desk.ada, &base, &labelled(&document, "a", "A")).await, "merged");
        assert_eq!(answer["result"]["updated"], json!({"nodes": ["a"], "edges": []}));
        assert_eq!(
            (label_of(&desk.ada, "a").await, label_of(&desk.ada, "b").await),
            (json!("A"), json!("B"))
        );
        // Bob's edit comes back with a base of its own: adopting it, the next save is idle.
        let adopted = &answer["document"];
        assert_eq!(adopted["nodes"][1]["data"]["label"], "B");
        let inner = adopted["base"].as_str().unwrap();
        let mut mine = adopted.clone();
        mine.as_object_mut().unwrap().remove("base");
        let answer = accepted(&save(&desk.ada, inner, &mine).await, "unchanged");
        assert!(answer.get("document").is_none(), "{answer}");
        let changes = desk.ada.changes("g", 0).await;
        assert_eq!(changes.len(), 3);
        assert_eq!(changes[2]["commandType"], "SAVE_DOCUMENT");
    }
}

#[tokio::test]
async fn ds5_selecting_and_panning_saves_nothing() {
    let desk = Desk::new().await;
    desk.ada.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 1})).await;
    let (document, base) = load(&desk.ada).await;
    let mut mine = document.clone();
    mine["nodes"][0]["selected"] = json!(true);
    mine["nodes"][1]["measured"] = json!({"width": 100, "height": 40});
    mine["viewport"] = json!({"x": 50, "y": 50, "zoom": 2});
    let answer = accepted(&save(&desk.ada, &base, &mine).await, "unchanged");
    assert_eq!(answer["result"]["ignored"], json!(["/measured", "/selected"]));
    assert_eq!(answer["version"], 2);
    let reply = desk.ada.ask(put(&format!("?base={base}&viewport=save"), &mine)).await;
    accepted(&reply, "applied");
    assert_eq!(desk.ada.read("/graphs/g/viewport").await, json!({"x": 50, "y": 50, "zoom": 2}));
    // Each path is looked for in each entity.
    let ignore = vec!["/a"; 101].join(",");
    desk.ada.ask(put(&format!("?base={base}&ignore={ignore}"), &mine)).await.bad("ignore", "ignore");
}

#[tokio::test]
async fn ds9_the_same_field_is_a_conflict_that_its_saver_decides() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    desk.bob_labels("a", "B").await;
    let mine = labelled(&labelled(&document, "a", "A"), "b", "mine");
    let problem = save(&desk.ada, &base, &mine).await.problem(409, "CONFLICT");
    let conflict = &problem["resolution"]["conflicts"][0];
    assert_eq!((&conflict["path"], &conflict["yours"]), (&json!("/data/label"), &json!("A")));
    assert_eq!((&conflict["current"], &conflict["userId"]), (&json!("B"), &json!("bob")));
    assert_eq!(label_of(&desk.ada, "b").await, "b", "nothing of a refused save is written");
    let reply = desk.ada.ask(put(&format!("?base={base}&onConflict=keep"), &mine)).await;
    let answer = accepted(&reply, "merged");
    assert_eq!(answer["conflicts"][0]["current"], "B");
    assert_eq!((label_of(&desk.ada, "a").await, label_of(&desk.ada, "b").await), (json!("B"), json!("mine")));
    let reply = desk.ada.ask(put(&format!("?base={base}&onConflict=overwrite"), &mine)).await;
    accepted(&reply, "merged");
    assert_eq!(label_of(&desk.ada, "a").await, "A");
    let reply = desk.ada.ask(put(&format!("?base={base}&onConflict=maybe"), &mine)).await;
    reply.bad("onConflict", "onConflict");
}

#[tokio::test]
async fn ds10_a_base_fits_the_document_that_was_sent() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    desk.bob.apply("g", "CREATE_NODE", json!({"id": "d"})).await;
    let mine = added(&document, json!({"id": "c"}));
    let answer = accepted(&save(&desk.ada, &base, &mine).await, "merged");
    let next = answer["base"].as_str().unwrap().to_owned();
    assert!(next.starts_with("1:") && next.ends_with("+3"), "{next}");
    // Ada keeps her picture, without d: her next save leaves d alone, and removing c removes c alone.
    accepted(&save(&desk.ada, &next, &mine).await, "unchanged");
    let answer = accepted(&save(&desk.ada, &next, &document).await, "merged");
    assert_eq!(answer["result"]["deleted"]["nodes"], json!(["c"]));
    desk.ada.read("/graphs/g/nodes/d").await;
    // An idle save sent nothing new: what it did not know is no part of the next base either.
    let (document, base) = load(&desk.ada).await;
    desk.bob.apply("g", "CREATE_NODE", json!({"id": "e"})).await;
    let idle = accepted(&save(&desk.ada, &base, &document).await, "unchanged");
    let next = idle["base"].as_str().unwrap().to_owned();
    accepted(&save(&desk.ada, &next, &labelled(&document, "a", "idle")).await, "merged");
    desk.ada.read("/graphs/g/nodes/e").await;
    // Who saves alone gets a plain version.
    let (document, base) = load(&desk.ada).await;
    let answer = accepted(&save(&desk.ada, &base, &labelled(&document, "a", "x")).await, "applied");
    let hash = answer["hash"].as_str().unwrap();
    assert_eq!(answer["base"], json!(format!("{}:{hash}", answer["version"])));
}

#[tokio::test]
async fn ds10_a_base_fits_also_where_others_had_done_the_same_before() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    let label = |label: &str| json!({"nodeId": "a", "updates": {"data": {"label": label}}});
    desk.bob.apply("g", "UPDATE_NODE", label("same")).await;
    let mine = labelled(&document, "a", "same");
    let answer = accepted(&save(&desk.ada, &base, &mine).await, "unchanged");
    let next = answer["base"].as_str().unwrap().to_owned();
    // Ada has changed nothing since, so what Bob does now is no conflict.
    desk.bob.apply("g", "UPDATE_NODE", label("other")).await;
    accepted(&save(&desk.ada, &next, &mine).await, "unchanged");
    // Bob took an id, and Ada's node won: it is hers to change, and to remove.
    let (document, base) = load(&desk.ada).await;
    desk.bob.apply("g", "CREATE_NODE", json!({"id": "d", "data": {"label": "bob"}})).await;
    let mine = added(&document, json!({"id": "d", "data": {"label": "ada"}}));
    let answer = accepted(&save(&desk.ada, &format!("{base}&onConflict=overwrite"), &mine).await, "merged");
    let next = answer["base"].as_str().unwrap().to_owned();
    let answer = accepted(&save(&desk.ada, &next, &document).await, "applied");
    assert_eq!(answer["result"]["deleted"]["nodes"], json!(["d"]));
}

#[tokio::test]
async fn ds3_a_named_client_may_keep_the_base_that_it_loaded() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    let query = format!("?base={base}");
    let save_in = async |tab: &str, document: &Value| {
        desk.ada.ask(put(&query, document).header("x-client-id", tab)).await
    };
    accepted(&save_in("tab", &added(&document, json!({"id": "c"}))).await, "applied");
    desk.bob.apply("g", "CREATE_NODE", json!({"id": "d"})).await;
    let answer = accepted(&save_in("tab", &document).await, "merged");
    assert_eq!(answer["result"]["deleted"]["nodes"], json!(["c"]));
    desk.ada.read("/graphs/g/nodes/d").await;
    // Two tabs without a name never delete each other's nodes.
    accepted(&save(&desk.ada, &base, &added(&document, json!({"id": "e"}))).await, "merged");
    accepted(&save(&desk.ada, &base, &document).await, "unchanged");
    desk.ada.read("/graphs/g/nodes/e").await;
}

#[tokio::test]
async fn ds7_a_save_without_a_base_overwrites_nothing_silently() {
    let server = Server::start().await;
    let ada = server.as_user("ada");
    let document = json!({"nodes": [{"id": "a"}], "edges": []});
    let answer = accepted(&ada.ask(put("", &document)).await, "applied");
    assert!(answer["base"].as_str().unwrap().starts_with("1:"));
    ada.ask(put("", &document)).await.problem(428, "BASE_REQUIRED");
    let none = ada.ask(put("", &document).header("if-none-match", "*")).await;
    none.problem(412, "VERSION_CHANGED");
    let merge = json!({"nodes": [{"id": "b"}], "edges": []});
    let answer = accepted(&ada.ask(put("?mode=merge", &merge)).await, "applied");
    assert!(answer.get("base").is_none(), "no version fits a document that lacks what is there: {answer}");
    assert_eq!(answer["document"]["nodes"].as_array().unwrap().len(), 2);
    ada.ask(put("?mode=replace", &merge)).await.json();
    assert_eq!(ada.state("g").await["nodes"].as_array().unwrap().len(), 1);
    ada.ask(put("?mode=replace&base=1", &merge)).await.bad("mode", "mode");
}

#[tokio::test]
async fn ds8_a_base_must_be_of_this_history() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    let mine = labelled(&document, "a", "A");
    let other = format!("1:{}", "0".repeat(64));
    let problem = save(&desk.ada, &other, &mine).await.problem(409, "BASE_UNKNOWN");
    assert_eq!(problem["resolution"]["currentVersion"], 1);
    assert_eq!(problem["resolution"]["hash"], desk.ada.state("g").await["hash"]);
    save(&desk.ada, "9", &mine).await.problem(409, "VERSION_AHEAD");
    save(&desk.ada, "nine", &mine).await.bad("base", "base");
    // Nothing of it is remembered: the same id can be sent again on another base.
    let id = new_id();
    let with_id = |base: &str| put(&format!("?base={base}"), &mine).header("idempotency-key", &id);
    desk.ada.ask(with_id(&other)).await.problem(409, "BASE_UNKNOWN");
    accepted(&desk.ada.ask(with_id(&base)).await, "applied");
    // `If-Match` is strict, and takes a weak tag.
    let strict = |tag: &str| put(&format!("?base={base}"), &mine).header("if-match", tag);
    desk.ada.ask(strict("\"1-0000000000000000\"")).await.problem(412, "VERSION_CHANGED");
    let tag = desk.ada.get("/graphs/g/document").await.header("etag").unwrap().to_owned();
    assert_eq!(desk.ada.ask(strict(&format!("W/{}", tag.trim_start_matches("W/")))).await.status, 200);
    desk.ada.ask(strict("*")).await.bad("If-Match", "If-Match");
    desk.ada.ask(strict("\"1-00\", \"2-00\"")).await.bad("If-Match", "If-Match");
    desk.ada.ask(strict("\"1-00\"").header("if-none-match", "*")).await.bad("If-None-Match", "If-None-Match");
    // A tag of a history that was replaced names the same version with another hash.
    let tag = desk.ada.get("/graphs/g/document").await.header("etag").unwrap().to_owned();
    let (version, _) = tag.split_once('-').unwrap();
    desk.ada.ask(strict(&format!("{version}-0000000000000000\""))).await.problem(412, "VERSION_CHANGED");
}

#[tokio::test]
async fn ds11_an_editor_that_saved_before_it_had_loaded_deletes_nothing() {
    let server = Server::start().await;
    let ada = server.as_user("ada");
    let nodes: Vec<Value> = (0..40).map(|n| json!({"id": format!("n{n}")})).collect();
    ada.apply("g", "BATCH_UPDATE", json!({"nodes": nodes})).await;
    let (_, base) = load(&ada).await;
    let empty = json!({"nodes": [], "edges": []});
    let problem = save(&ada, &base, &empty).await.problem(422, "DELETES_MUCH");
    assert_eq!((&problem["nodes"], &problem["edges"]), (&json!(40), &json!(0)));
    accepted(&ada.ask(put(&format!("?base={base}&deletes=40"), &empty)).await, "applied");
}

#[tokio::test]
async fn ds13_a_repeat_is_answered_with_the_first_outcome() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    let id = new_id();
    let mine = added(&without(&document, &["b", "ab"]), json!({"id": "c"}));
    let request = || put(&format!("?base={base}"), &mine).header("idempotency-key", &id);
    let first = accepted(&desk.ada.ask(request()).await, "applied");
    desk.bob_labels("a", "B").await;
    let again = accepted(&desk.ada.ask(request()).await, "applied");
    assert_eq!((&again["version"], &again["base"]), (&first["version"], &first["base"]));
    assert_eq!(again["duplicate"], true);
    assert!(again["document"]["nodes"].is_array(), "what others did since comes with it");
    desk.ada
        .ask(put(&format!("?base={base}"), &document).header("idempotency-key", &id))
        .await
        .problem(422, "OPERATION_ID_REUSED");
    let kept = put(&format!("?base={base}&absent=keep"), &mine).header("idempotency-key", &id);
    desk.ada.ask(kept).await.problem(422, "OPERATION_ID_REUSED");
    // Without an id, intent that stands already is no change.
    accepted(&save(&desk.ada, &base, &mine).await, "unchanged");
}

#[tokio::test]
async fn ds14_a_document_that_can_not_be_is_refused_by_its_place() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    let node = |id: &str, parent: &str| json!({"id": id, "parentId": parent});
    let cases = [
        (added(&document, json!({"id": "a"})), "nodes[2].id"),
        (added(&document, json!({"data": {}})), "nodes[2].id"),
        (with(&document, json!({"edges": [{"source": "a", "target": "b"}]})), "edges[0].id"),
        (with(&document, json!({"nodes": [node("x", "y"), node("y", "x")]})), "parentId"),
        (with(&document, json!({"edges": null})), "edges"),
        (with(&document, json!({"title": "x"})), "title"),
    ];
    for (wrong, place) in cases {
        save(&desk.ada, &base, &wrong).await.bad(place, place);
    }
    let mut dangling = document.clone();
    dangling["edges"].as_array_mut().unwrap().push(json!({"id": "ax", "source": "a", "target": "x"}));
    save(&desk.ada, &base, &dangling).await.problem(422, "DANGLING_EDGE");
}

#[tokio::test]
async fn ds1_a_document_can_be_saved_by_a_command() {
    let desk = Desk::new().await;
    let (document, base) = load(&desk.ada).await;
    desk.bob_labels("b", "B").await;
    let mine = labelled(&document, "a", "A");
    let payload = with(&mine, json!({"base": base}));
    let answer = desk.ada.accept("g", &command("SAVE_DOCUMENT", payload)).await;
    assert_eq!(answer["outcome"], "merged");
    assert_eq!(answer["result"]["updated"]["nodes"], json!(["a"]));
    let state = desk.ada.state("g").await;
    let seen = json!({"clientVersion": state["version"], "clientHash": state["hash"], "onConflict": "keep"});
    let (document, _) = load(&desk.ada).await;
    let envelope = with(&command("SAVE_DOCUMENT", labelled(&document, "a", "A2")), seen);
    assert_eq!(desk.ada.accept("g", &envelope).await["outcome"], "applied");
    let batch = json!({"operations": [command("SAVE_DOCUMENT", document.clone())]});
    desk.ada.post("/graphs/g/batch", &batch).await.bad("operations[0].type", "operations[0].type");
    let keep = with(&command("DELETE_NODE", json!({"nodeId": "a"})), json!({"onConflict": "keep"}));
    desk.ada.command("g", &keep).await.bad("onConflict", "onConflict");
    drop(desk.server);
}
