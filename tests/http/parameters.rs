//! Query parameters that a route does not know, or that are given twice (rule H7), on every route that there is.

use serde_json::{Value, json};

use crate::support::{
    graph::{command, ids},
    http::Request,
    server::Server,
};

/// A path of this template that leads somewhere.
fn filled(template: &str) -> String {
    [("{graphId}", "g"), ("{nodeId}", "a"), ("{edgeId}", "e"), ("{name}", "index")]
        .iter()
        .fold(template.to_owned(), |path, (place, id)| path.replace(place, id))
        .replace("{operationId}", "0192f0c1-0000-7000-8000-000000000001")
}

fn asked(operation: &Value) -> Vec<&str> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.filter(|p| p["in"] == "query").map(|p| p["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn h7_every_route_refuses_unknown_parameters() {
    let server = Server::start().await;
    let document = server.read("/openapi.json").await;
    let mut routes = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            routes += 1;
            let path = filled(template);
            let ask = |query: String| {
                let request = Request::new(&method.to_uppercase(), &format!("{path}?{query}"));
                server.ask(request.header("content-length", "0"))
            };
            let known = asked(operation);
            let problem = ask("nonsense=1".to_owned()).await.problem(400, "BAD_REQUEST");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with("Unknown query parameter \"nonsense\"."), "{method} {path}: {detail}");
            for name in &known {
                assert!(detail.contains(name), "{method} {path}: {name} is not in {detail}");
                let problem = ask(format!("{name}=1&{name}=1")).await.problem(400, "BAD_REQUEST");
                let detail = problem["detail"].as_str().unwrap();
                let expected = format!("The query parameter \"{name}\" is given more than once.");
                assert!(detail.starts_with(&expected), "{method} {path}: {detail}");
            }
        }
    }
    assert!(routes > 30, "{routes}");
    server.stop().await;
}

#[tokio::test]
async fn h7_known_parameters_match_by_their_exact_name() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    for (path, unknown) in [
        ("/graphs/g/operations?usr=ada", "usr"),
        ("/graphs/g/state?Version=1", "Version"),
        ("/graphs/g/state?version%20=1", "version "),
        ("/graphs/g/diff?from=0&too=1", "too"),
        ("/graphs/g/changes?since=0&=1", ""),
        ("/events?since=0&follow=false&graph=g", "graph"),
        ("/healthz?verbose", "verbose"),
    ] {
        let problem = server.get(path).await.problem(400, "BAD_REQUEST");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("Unknown query parameter {unknown:?}.")), "{path}: {detail}");
    }
    for path in [
        "/graphs/g/state?",
        "/graphs/g/state?version=1&userId=ada",
        "/graphs/g/state?&version=1&",
        "/healthz?userId=a",
        "/graphs/g/state?token=a&access_token=b",
    ] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    server.get("/graphs/g/state?userId=ada&userId=bob").await.problem(400, "BAD_REQUEST");
    server.get("/nowhere?at=all").await.problem(404, "NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn h1_an_unknown_command_type_lists_the_known_ones() {
    let server = Server::start().await;
    let problem = server.command("g", &command("MAKE_NODE", json!({}))).await.problem(400, "BAD_REQUEST");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("type: unknown command type \"MAKE_NODE\""), "{detail}");
    assert!(detail.contains("CREATE_NODE") && detail.ends_with("RESTORE_VERSION"), "{detail}");
    server.stop().await;
}

#[tokio::test]
async fn g5_every_list_has_parents_first() {
    let server = Server::start().await;
    for id in ["a", "b", "c"] {
        server.apply("g", "CREATE_NODE", json!({"id": id})).await;
    }
    let into = |id: &str| command("UPDATE_NODE", json!({"nodeId": id, "updates": {"parentId": "box"}}));
    let group = json!({"atomic": true, "operations": [command("CREATE_NODE", json!({"id": "box"})), into("a"), into("c")]});
    assert_eq!(server.post("/graphs/g/batch", &group).await.status, 200);
    server.apply("g", "CREATE_NODE", json!({"id": "d"})).await;
    let expected = ["b", "box", "a", "c", "d"];
    assert_eq!(ids(&server.state("g").await["nodes"]), expected, "all but what waits is in creation order");
    assert_eq!(ids(&server.read("/graphs/g/nodes").await["nodes"]), expected);
    assert_eq!(ids(&server.read("/graphs/g/state?version=4").await["nodes"]), expected[..4]);
    assert_eq!(ids(&server.read("/graphs/g/diff?from=0&to=5").await["nodes"]["added"]), expected);
    assert_eq!(ids(&server.read("/graphs/g/diff?from=5&to=0").await["nodes"]["removed"]), expected);
    let packed = Request::get("/graphs/g/state").header("accept", "application/msgpack");
    let state: Value = rmp_serde::from_slice(&server.ask(packed).await.body).unwrap();
    assert_eq!(ids(&state["nodes"]), expected);
    server.apply("g", "UPDATE_NODE", json!({"nodeId": "a", "updates": {"parentId": null}})).await;
    assert_eq!(ids(&server.state("g").await["nodes"]), ["a", "b", "box", "c", "d"]);
    server.stop().await;
}
