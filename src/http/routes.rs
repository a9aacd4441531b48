//! Every route: its method and path, its handler, the right that it needs, and its operation in the OpenAPI document.
//!
//! One entry of [`ROUTES`] makes all of it: the router ([`super::router`]), the check in front of the handler ([`super::guard`]), the
//! label in the metrics ([`super::metrics`]), and the document with the query parameters that the route knows
//! ([`super::openapi`]). A path that has several methods has several entries, each with its right.
//!
//! Long because: one entry for each route.

use Access::{AllGraphs, Docs, Graph, Public, Socket, Token};
use axum::{
    http::Method,
    routing::{self, MethodRouter},
};

#[cfg(feature = "console")]
use super::console;
use super::{
    access::Access, activity, all_events, app::App, audit, catalog, commands, connections, demo, document,
    graph, graph_events, health, home, labels, metrics, openapi, openapi_document, operations, purge, reads,
    route_table::routes, socket, subscriptions, whoami,
};
use crate::auth::Right::{Admin, Read, Write};
/// The operations of all routes, for the document.
pub(super) use documented::Paths;

/// One route.
pub(super) struct Route {
    pub(super) path: &'static str,
    /// The name of the method, in lower case.
    pub(super) method: &'static str,
    pub(super) access: Access,
    /// The method and the handler.
    pub(super) method_router: fn() -> MethodRouter<App>,
}

routes! {
    /// Get the name of this server and where to find its documentation.
    get "/" => home::home, Public, {
        operation_id = "home", tag = "operation",
        responses(
            (status = 200, description = "A page for browsers, the same as JSON for programs", content((Home = "application/json"), (String = "text/html"))),
            HealthErrors
        )
    }
    /// List the graphs that you may read.
    ///
    /// Pages may be short, also empty: only `nextCursor: null` is the end. `asOf` says how far behind the log the list is.
    get "/graphs" => catalog::graphs, Token, {
        operation_id = "listGraphs", tag = "graphs",
        params(CatalogQuery),
        responses((status = 200, description = "One page, without contents", body = GraphList), ReadErrors)
    }
    /// Get what a graph is: its attributes, labels and counts.
    get "/graphs/{graphId}" => graph::graph, Graph(Read), {
        tag = "graphs",
        params(GraphPath, LatestQuery),
        responses((status = 200, description = "What it is", body = GraphRow), ReadErrors)
    }
    /// Put a graph into the trash.
    delete "/graphs/{graphId}" => graph::delete_graph, Graph(Admin), {
        operation_id = "deleteGraph", tag = "graphs",
        params(GraphPath, DeleteGraphQuery, IdempotencyKey),
        responses((status = 200, description = "It is in the trash", body = Accepted), WriteErrors)
    }
    /// Purge a graph that is in the trash: nothing of it is left.
    post "/graphs/{graphId}/purge" => purge::purge, Graph(Admin), {
        operation_id = "purgeGraph", tag = "graphs",
        params(GraphPath),
        request_body = PurgeBody,
        responses((status = 200, description = "It is gone", body = Accepted), WriteErrors)
    }
    /// List the labels of a graph.
    get "/graphs/{graphId}/labels" => labels::labels, Graph(Read), {
        operation_id = "listLabels", tag = "graphs",
        params(GraphPath, LatestQuery),
        responses(
            (status = 200, description = "All labels", body = LabelList),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// Get one label of a graph.
    get "/graphs/{graphId}/labels/{name}" => labels::label, Graph(Read), {
        operation_id = "getLabel", tag = "graphs",
        params(LabelPath, LatestQuery),
        responses(
            (status = 200, description = "Which version it names", body = NamedLabel),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// Label a version, or remove the label. It is the command `LABEL_VERSION`.
    put "/graphs/{graphId}/labels/{name}" => labels::put_label, Graph(Write), {
        operation_id = "putLabel", tag = "graphs",
        params(LabelPath, IdempotencyKey),
        request_body = Option<LabelBody>,
        responses((status = 200, description = "The commit is durable", body = Accepted), WriteErrors)
    }
    /// Remove a label.
    delete "/graphs/{graphId}/labels/{name}" => labels::delete_label, Graph(Write), {
        operation_id = "deleteLabel", tag = "graphs",
        params(LabelPath, DeleteLabelQuery, IdempotencyKey),
        responses((status = 200, description = "There is no such label any more", body = Accepted), WriteErrors)
    }
    /// Run a command.
    post "/graphs/{graphId}/command" => commands::command, Graph(Write), {
        tag = "graphs",
        params(GraphPath),
        request_body = CommandBody,
        responses(
            (status = 200, description = "The commit is durable", body = Accepted),
            (status = 428, description = "A document save names no base, and the graph is not empty", body = Problem, content_type = "application/problem+json"),
            WriteErrors
        )
    }
    /// Run several commands, as one commit or one by one.
    post "/graphs/{graphId}/batch" => commands::batch, Graph(Write), {
        tag = "graphs",
        params(GraphPath),
        request_body = BatchBody,
        responses((status = 200, description = "What is accepted is durable", body = BatchAnswer), WriteErrors)
    }
    /// Get the current state of a graph, or an earlier version.
    get "/graphs/{graphId}/state" => reads::state, Graph(Read), {
        tag = "graphs",
        params(GraphPath, StateQuery),
        responses(
            (status = 200, description = "The graph", body = State),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// Get a graph as an editor's document, with its base.
    get "/graphs/{graphId}/document" => document::graph_document, Graph(Read), {
        operation_id = "getDocument", tag = "graphs",
        params(GraphPath, DocumentQuery),
        responses(
            (status = 200, description = "The document", body = Document, headers(("X-Base" = String, description = "The base of a save of this document"))),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// Save an editor's document: what it changed since its base.
    put "/graphs/{graphId}/document" => document::save_document, Graph(Write), {
        operation_id = "saveDocument", tag = "graphs",
        params(GraphPath, SaveQuery, SaveHeaders),
        request_body = Document,
        responses(
            (status = 200, description = "The save is durable", body = SaveAnswer),
            (status = 412, description = "`If-Match` names another version", body = Problem, content_type = "application/problem+json"),
            (status = 428, description = "The graph is not empty, and the save names no base", body = Problem, content_type = "application/problem+json"),
            WriteErrors
        )
    }
    /// List the commits of a graph after a version.
    get "/graphs/{graphId}/changes" => reads::changes, Graph(Read), {
        tag = "graphs",
        params(GraphPath, ChangesQuery),
        responses((status = 200, description = "The commits after `since`", body = Changes), ReadErrors)
    }
    /// List all nodes of a graph, parents first.
    get "/graphs/{graphId}/nodes" => reads::nodes, Graph(Read), {
        tag = "graphs",
        params(GraphPath, ContentsQuery),
        responses(
            (status = 200, description = "All nodes", body = Nodes),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// Get one node.
    get "/graphs/{graphId}/nodes/{nodeId}" => reads::node, Graph(Read), {
        tag = "graphs",
        params(NodePath, ContentsQuery),
        responses(
            (status = 200, description = "The node", body = Node),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// List all edges of a graph, in creation order.
    get "/graphs/{graphId}/edges" => reads::edges, Graph(Read), {
        tag = "graphs",
        params(GraphPath, ContentsQuery),
        responses(
            (status = 200, description = "All edges", body = Edges),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// Get one edge.
    get "/graphs/{graphId}/edges/{edgeId}" => reads::edge, Graph(Read), {
        tag = "graphs",
        params(EdgePath, ContentsQuery),
        responses(
            (status = 200, description = "The edge", body = Edge),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// Get the viewport of a graph.
    get "/graphs/{graphId}/viewport" => reads::viewport, Graph(Read), {
        tag = "graphs",
        params(GraphPath, ContentsQuery),
        responses(
            (status = 200, description = "The viewport", body = Viewport),
            (status = 304, description = "It is what `If-None-Match` names"),
            ReadErrors
        )
    }
    /// List the operations of a graph, accepted and refused.
    get "/graphs/{graphId}/operations" => audit::operations, Graph(Read), {
        operation_id = "listOperations", tag = "audit",
        params(GraphPath, OperationsQuery),
        responses((status = 200, description = "One page", body = Operations), ReadErrors)
    }
    /// Compare two versions of a graph.
    get "/graphs/{graphId}/diff" => audit::diff, Graph(Read), {
        tag = "audit",
        params(GraphPath, DiffQuery),
        responses((status = 200, description = "What differs", body = Difference), ReadErrors)
    }
    /// List the changes of a node.
    get "/graphs/{graphId}/nodes/{nodeId}/history" => audit::node_history, Graph(Read), {
        operation_id = "nodeHistory", tag = "audit",
        params(NodePath, HistoryQuery),
        responses((status = 200, description = "One page, newest first", body = History), ReadErrors)
    }
    /// List the changes of an edge.
    get "/graphs/{graphId}/edges/{edgeId}/history" => audit::edge_history, Graph(Read), {
        operation_id = "edgeHistory", tag = "audit",
        params(EdgePath, HistoryQuery),
        responses((status = 200, description = "One page, newest first", body = History), ReadErrors)
    }
    /// Verify the history of a graph.
    get "/graphs/{graphId}/verify" => audit::verify, Graph(Read), {
        tag = "audit",
        params(GraphPath, LatestQuery),
        responses(
            (status = 200, description = "What the walk found, good or bad. As lines: how far it is, and last what it found", content((Verified = "application/json"), (String = "application/x-ndjson"))),
            ReadErrors
        )
    }
    /// List who wrote each node and edge last.
    get "/graphs/{graphId}/authors" => audit::authors, Graph(Read), {
        tag = "audit",
        params(GraphPath, ContentsQuery),
        responses(
            (status = 200, description = "The latest write of each, by its id", body = Authors, headers(("X-Base" = String, description = "The version that was used, as the base of a document"))),
            ReadErrors,
        )
    }
    /// List the activity of a graph by hour, event type and user, or in buckets of time.
    get "/graphs/{graphId}/activity" => activity::graph_activity, Graph(Read), {
        operation_id = "graphActivity", tag = "audit",
        params(GraphPath, ActivityQuery, BucketQuery, LatestQuery),
        responses((status = 200, description = "One page; with `bucket` all buckets", body = GraphActivity), ReadErrors)
    }
    /// List the activity of all graphs by hour, event type and user.
    get "/activity" => activity::all_activity, AllGraphs(Admin), {
        operation_id = "allActivity", tag = "audit",
        params(ActivityQuery),
        responses((status = 200, description = "One page", body = Activity), ReadErrors)
    }
    /// List who is there in a graph, on all servers.
    ///
    /// What is known of other servers is up to a minute old.
    get "/graphs/{graphId}/presence" => connections::presence, Graph(Read), {
        operation_id = "graphPresence", tag = "live",
        params(GraphPath),
        responses((status = 200, description = "Who follows the graph, and what they show", body = Presence), ReadErrors)
    }
    /// List the sockets and streams of this server.
    get "/connections" => connections::connections, AllGraphs(Admin), {
        operation_id = "listConnections", tag = "operation",
        params(ConnectionsQuery),
        responses((status = 200, description = "One page", body = Connections), ReadErrors)
    }
    /// Stream the commits of a graph.
    get "/graphs/{graphId}/events" => graph_events::graph_events, Graph(Read), {
        operation_id = "graphEvents", tag = "live",
        params(GraphPath, GraphEventsQuery, Resume),
        responses(
            (status = 200, description = "Server-sent events, or lines of JSON: as `Accept` says", content((StreamEvent = "text/event-stream"), (String = "application/x-ndjson"))),
            ReadErrors
        )
    }
    /// Stream the commits of all graphs.
    get "/events" => all_events::all_events, AllGraphs(Admin), {
        operation_id = "allEvents", tag = "live",
        params(AllEventsQuery, Resume),
        responses(
            (status = 200, description = "Server-sent events, or lines of JSON: as `Accept` says", content((StreamEvent = "text/event-stream"), (String = "application/x-ndjson"))),
            ReadErrors
        )
    }
    /// List all subscriptions.
    get "/subscriptions" => subscriptions::list, AllGraphs(Admin), {
        operation_id = "listSubscriptions", tag = "subscriptions",
        responses((status = 200, description = "All names", body = SubscriptionNames), ReadErrors)
    }
    /// Create a subscription, or confirm that it exists.
    put "/subscriptions/{name}" => subscriptions::put, AllGraphs(Admin), {
        operation_id = "putSubscription", tag = "subscriptions",
        params(SubscriptionPath),
        request_body = SubscriptionBody,
        responses(
            (status = 201, description = "It is made", body = SubscriptionSettings),
            (status = 200, description = "It was there", body = SubscriptionSettings),
            WriteErrors
        )
    }
    /// Get a subscription with its settings, position and lag.
    get "/subscriptions/{name}" => subscriptions::show, AllGraphs(Admin), {
        operation_id = "showSubscription", tag = "subscriptions",
        params(SubscriptionPath),
        responses((status = 200, description = "How it is", body = SubscriptionOverview), ReadErrors)
    }
    /// Delete a subscription.
    delete "/subscriptions/{name}" => subscriptions::delete, AllGraphs(Admin), {
        operation_id = "deleteSubscription", tag = "subscriptions",
        params(SubscriptionPath),
        responses((status = 204, description = "It is forgotten"), ReadErrors)
    }
    /// Lease the next commits to a consumer.
    ///
    /// It has no body. The commits of one graph in an answer are a run: acknowledging one acknowledges those before it.
    post "/subscriptions/{name}/next" => subscriptions::next, AllGraphs(Admin), {
        operation_id = "nextDeliveries", tag = "subscriptions",
        params(SubscriptionPath, NextQuery),
        responses((status = 200, description = "Commits, or none", body = Deliveries), ReadErrors)
    }
    /// Acknowledge deliveries.
    post "/subscriptions/{name}/ack" => subscriptions::ack, AllGraphs(Admin), {
        operation_id = "acknowledge", tag = "subscriptions",
        params(SubscriptionPath),
        request_body = DeliveryIds,
        responses((status = 200, description = "They are done with", body = Settled), WriteErrors)
    }
    /// Return deliveries for another attempt.
    post "/subscriptions/{name}/nack" => subscriptions::nack, AllGraphs(Admin), {
        operation_id = "giveBack", tag = "subscriptions",
        params(SubscriptionPath),
        request_body = Nack,
        responses((status = 200, description = "They come again", body = Settled), WriteErrors)
    }
    /// List parked deliveries.
    get "/subscriptions/{name}/parked" => subscriptions::parked, AllGraphs(Admin), {
        operation_id = "listParked", tag = "subscriptions",
        params(SubscriptionPath, PageQuery),
        responses((status = 200, description = "One page", body = ParkedPage), ReadErrors)
    }
    /// Retry parked deliveries.
    post "/subscriptions/{name}/parked/retry" => subscriptions::retry, AllGraphs(Admin), {
        operation_id = "retryParked", tag = "subscriptions",
        params(SubscriptionPath),
        request_body = DeliveryIds,
        responses((status = 200, description = "They are delivered again", body = Settled), WriteErrors)
    }
    /// Drop parked deliveries.
    post "/subscriptions/{name}/parked/drop" => subscriptions::drop_parked, AllGraphs(Admin), {
        operation_id = "dropParked", tag = "subscriptions",
        params(SubscriptionPath),
        request_body = DeliveryIds,
        responses((status = 200, description = "They are forgotten", body = Settled), WriteErrors)
    }
    /// Open a WebSocket. Its frames are the schemas `ClientFrame` and `ServerFrame`.
    get "/ws" => socket::upgrade, Socket, {
        operation_id = "openSocket", tag = "live",
        params(SocketQuery),
        responses(
            (status = 101, description = "The WebSocket is open: rules W"),
            (status = 426, description = "The handshake is of another version of WebSocket", body = Problem, content_type = "application/problem+json"),
            ReadErrors
        )
    }
    /// List the operations of all graphs, accepted and refused, the latest first.
    ///
    /// It goes back as far as the feed does (`FEED_RETENTION`). The operations of one graph are kept for ever.
    get "/operations" => audit::all_operations, AllGraphs(Admin), {
        operation_id = "allOperations", tag = "audit",
        params(AllOperationsQuery),
        responses((status = 200, description = "One page", body = Operations), ReadErrors)
    }
    /// Check the outcome of an operation.
    ///
    /// Ids are unique within a graph only: name the graph, or get the oldest record among graphs you may read. Known for
    /// `OPERATION_TTL` at least; 404 after that, for ids nobody has used, and for operations of graphs you may not read.
    get "/operations/{operationId}" => operations::operation, Token, {
        tag = "graphs",
        params(OperationPath, OperationQuery),
        responses((status = 200, description = "What became of it", body = Operation), ReadErrors)
    }
    /// Get the calling user and their rights.
    get "/whoami" => whoami::whoami, Token, {
        tag = "operation",
        responses((status = 200, description = "Who calls, and what they may do", body = Whoami), ReadErrors)
    }
    /// Check that the process is alive.
    get "/healthz" => health::live, Public, {
        operation_id = "healthz", tag = "operation",
        responses((status = 200, description = "The process answers", body = Alive), HealthErrors)
    }
    /// Check that the server is ready.
    get "/readyz" => health::ready, Public, {
        operation_id = "readyz", tag = "operation",
        responses(
            (status = 200, description = "The store takes writes, and projections follow", body = Ready),
            HealthErrors
        )
    }
    /// Get metrics as OpenMetrics text.
    get "/metrics" => metrics::metrics, AllGraphs(Admin), {
        operation_id = "metrics", tag = "operation",
        responses(
            (status = 200, description = "OpenMetrics 1.0 text; with keys for those with admin on *", body = String, content_type = "application/openmetrics-text"),
            ReadErrors
        )
    }
    /// Get this OpenAPI document.
    get "/openapi.json" => openapi_document::document, Docs, {
        operation_id = "openapi", tag = "operation",
        responses((status = 200, description = "The OpenAPI document", body = Json), ReadErrors )
    }
    /// Read this document and try its routes in a browser.
    get "/docs" => openapi::page, Docs, {
        operation_id = "docs", tag = "operation",
        responses(
            (status = 200, description = "A page for browsers", content_type = "text/html", body = String),
            ReadErrors
        )
    }
}

/// What the viewer's page loads: the only route that is not in the document.
const VIEWER_FILE: Route = Route {
    path: "/docs/{file}",
    method: "get",
    access: Docs,
    method_router: || routing::get(openapi::file),
};

/// The pages and files of the console. They are not in the document: nobody calls them.
#[cfg(feature = "console")]
const CONSOLE: &[Route] = &[
    Route {
        path: "/console",
        method: "get",
        access: Access::Console,
        method_router: || routing::get(console::root),
    },
    Route {
        path: "/console/",
        method: "get",
        access: Access::Console,
        method_router: || routing::get(console::page),
    },
    Route {
        path: "/console/{*path}",
        method: "get",
        access: Access::Console,
        method_router: || routing::get(console::page_or_file),
    },
];
#[cfg(not(feature = "console"))]
const CONSOLE: &[Route] = &[];

/// What the page of `dao-api demo` asks of its server. To kill it, a page of another site is not enough.
const DEMO: &[Route] = &[
    Route { path: "/demo", method: "get", access: Access::Demo, method_router: || routing::get(demo::demo) },
    Route {
        path: "/demo/kill",
        method: "post",
        access: Access::Demo,
        method_router: || routing::post(demo::kill),
    },
];

/// Every route there is.
pub(super) fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain([&VIEWER_FILE]).chain(CONSOLE).chain(DEMO)
}

/// What the route with this method and template needs. One that is not in the table needs the highest right there is. A
/// method that a path does not have needs what its first one needs, and is then 405.
pub(super) fn access(method: &Method, template: &str) -> Access {
    let name = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let exact = all().find(|route| route.path == template && route.method.eq_ignore_ascii_case(name));
    let route = exact.or_else(|| all().find(|route| route.path == template));
    route.map_or(AllGraphs(Admin), |route| route.access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o1_each_method_of_a_path_needs_its_own_right() {
        for route in all() {
            let method = Method::from_bytes(route.method.to_uppercase().as_bytes()).expect("a method");
            assert_eq!(access(&method, route.path), route.access, "{}", route.path);
        }
        assert_eq!(access(&Method::HEAD, "/graphs/{graphId}"), Graph(Read));
        assert_eq!(access(&Method::DELETE, "/graphs/{graphId}"), Graph(Admin));
    }

    #[test]
    fn o1_a_route_that_is_not_in_the_table_needs_the_highest_right() {
        assert_eq!(access(&Method::GET, "/graphs/{graphId}/forgotten"), AllGraphs(Admin));
    }
}
