//! The fast path of `POST /graphs/{graphId}/command` and `…/batch`: past the router and its layers.
//!
//! Nearly all requests of a busy server are these two. The router matches a path, keeps its parameters, and boxes a
//! future for each layer around a handler; here the path is compared, and the same functions are called one in another.
//!
//! Invariants:
//! - No rule is here. The guard, the handlers, the extractors and what is around each answer are those of the router's
//!   path, and the right is that of the table ([`super::routes`]).
//! - Whatever is not plainly one of the two takes the router's path, which knows how to refuse it: another method, a
//!   query, an id that is not valid or is spelled with `%`.
//! - An answer has the same bytes on either path, but for ids and times (`tests/http/both_paths/`).

use axum::{extract::Request, handler::Handler, http::Method, response::Response};
use dao_projections::GraphId;

use super::{
    access::Access,
    app::App,
    command_path::{CommandPath, GraphInPath},
    commands,
    guard::{self, Metering},
    response::without_panics,
    routes,
};

/// The templates of the two routes.
const COMMAND: &str = "/graphs/{graphId}/command";
const BATCH: &str = "/graphs/{graphId}/batch";

/// Answers the two routes.
#[derive(Clone)]
pub(super) struct FastPath {
    app: App,
    command: Access,
    batch: Access,
}

/// A request that is answered here.
pub(super) struct FastRequest<'a> {
    fast_path: &'a FastPath,
    route: FastRoute,
    graph: GraphId,
}

#[derive(Clone, Copy)]
enum FastRoute {
    Command,
    Batch,
}

impl FastPath {
    /// The fast path of this application; `None` if all requests are to be routed.
    pub(super) fn of(app: &App) -> Option<Self> {
        let access = |template| routes::access(&Method::POST, template);
        let path = || Self { app: app.clone(), command: access(COMMAND), batch: access(BATCH) };
        (app.command_path == CommandPath::Fast).then(path)
    }

    /// The request, if it is one of these.
    pub(super) fn recognise(&self, request: &Request) -> Option<FastRequest<'_>> {
        let (route, graph) = FastRoute::of(request)?;
        Some(FastRequest { fast_path: self, route, graph })
    }
}

impl FastRoute {
    /// That of a request, and the graph in its path.
    fn of(request: &Request) -> Option<(Self, GraphId)> {
        if *request.method() != Method::POST || request.uri().query().is_some() {
            return None;
        }
        let (graph, last) = request.uri().path().strip_prefix("/graphs/")?.split_once('/')?;
        let route = match last {
            "command" => Self::Command,
            "batch" => Self::Batch,
            _ => return None,
        };
        Some((route, GraphId::parse(graph).ok()?))
    }

    fn template(self) -> &'static str {
        match self {
            Self::Command => COMMAND,
            Self::Batch => BATCH,
        }
    }
}

impl FastRequest<'_> {
    /// The template of its route.
    pub(super) fn template(&self) -> &'static str {
        self.route.template()
    }

    /// Answers it as its route does.
    pub(super) async fn answer(&self, mut request: Request) -> Response {
        let FastPath { app, command, batch } = self.fast_path;
        request.extensions_mut().insert(GraphInPath(self.graph.clone()));
        let state = app.clone();
        match self.route {
            FastRoute::Command => {
                let run = |request| commands::command.call(request, state);
                without_panics(guard::guarded(app, request, *command, Metering::Metered, run)).await
            }
            FastRoute::Batch => {
                let run = |request| commands::batch.call(request, state);
                without_panics(guard::guarded(app, request, *batch, Metering::Metered, run)).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn template(method: &str, target: &str) -> Option<&'static str> {
        let request = Request::builder().method(method).uri(target).body(Body::empty());
        FastRoute::of(&request.expect("a request")).map(|(route, _)| route.template())
    }

    #[test]
    fn only_plain_commands_and_batches_go_past_the_router() {
        assert_eq!(template("POST", "/graphs/g/command"), Some(COMMAND));
        assert_eq!(template("POST", "http://a/graphs/g-1/batch"), Some(BATCH));
        for (method, target) in [
            ("GET", "/graphs/g/command"),
            ("HEAD", "/graphs/g/command"),
            ("OPTIONS", "/graphs/g/command"),
            ("PUT", "/graphs/g/batch"),
            ("POST", "/graphs/g/command?"),
            ("POST", "/graphs/g/command?userId=a"),
            ("POST", "/graphs/g/command/"),
            ("POST", "/graphs//command"),
            ("POST", "/graphs/%67/command"),
            ("POST", "/graphs/-a/command"),
            ("POST", "/graphs/a/b/command"),
            ("POST", "/graphs/g/Command"),
            ("POST", "//graphs/g/command"),
            ("POST", "/graphs/g/undo"),
            ("POST", "/graphs/command"),
        ] {
            assert_eq!(template(method, target), None, "{method} {target}");
        }
    }

    #[test]
    fn o1_the_rights_are_those_of_the_table() {
        for template in [COMMAND, BATCH] {
            let route = routes::all().find(|route| route.path == template && route.method == "post");
            assert!(route.is_some_and(|route| matches!(route.access, Access::Graph(_))), "{template}");
        }
    }
}
