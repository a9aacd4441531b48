//! The handshake of `GET /ws`: checks the request, admits the peer and starts its connection.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dao_projections::{ClientId, GraphId, UserId};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use uuid::Uuid;

use super::{
    client_frames::ClientFrame,
    connection::Connection,
    live::Live,
    peer::Peer,
    peer_credentials::{Credentials, TOO_MANY_BAD_TOKENS},
    server_frames::FrameEncoding,
    socket_permits::SocketPermit,
};
use crate::{
    auth::{Auth, Grant},
    http::{
        app::App,
        authentication::{self, AuthenticationError},
        client_address::{self, ConnectionInfo},
        connection_io::ConnectionIo,
        connection_list::{Follows, Transport},
        extractors::QueryParameters,
        format::Format,
        problem::Problem,
        rate_limits::RateBudget,
    },
    read::ResumeHash,
    telemetry::Counted,
    websocket::{Accepted, HandshakeError, accept},
};

/// The subprotocol of JSON text frames. It is the default.
const JSON: &str = "dao.v1.json";
/// The subprotocol of MessagePack binary frames.
const MESSAGE_PACK: &str = "dao.v1.msgpack";

/// The prefix of the subprotocol that carries a token.
const BEARER: &str = "bearer.";

/// Open a WebSocket (rules W). The connection runs in a task of its own until it ends.
pub(in crate::http) async fn upgrade(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let proved = authentication::proved(&app, &parts)?;
    let asked = QueryParameters::from_request_parts(&mut parts, &app).await?;
    let first = first_subscription(&asked)?;
    let accepted = accept(&parts.headers, &[JSON, MESSAGE_PACK]).map_err(handshake_problem)?;
    let Some(upgrading) = parts.extensions.remove::<OnUpgrade>() else {
        return Err(Problem::bad_request("this connection can't be upgraded. Use HTTP/1.1"));
    };
    let mut rate_budget = RateBudget::of(&app, &parts, None);
    let credentials = handshake_credentials(&app.auth, proved, &accepted.offered, rate_budget.as_ref());
    let user = match &credentials {
        Credentials::Authenticated { grant, .. } => grant.user.clone(),
        Credentials::NotRequired => authentication::claimed(&mut parts, &app).await?,
        Credentials::Unauthenticated { .. } | Credentials::Rejected { .. } => app.anonymous.clone(),
    };
    // A handshake is charged to its user, or to its address if it does not authenticate.
    let is_known = match &credentials {
        Credentials::Authenticated { .. } => true,
        Credentials::NotRequired => user != app.anonymous,
        Credentials::Unauthenticated { .. } | Credentials::Rejected { .. } => false,
    };
    if let Some(rate_budget) = rate_budget.as_mut().filter(|_| is_known) {
        rate_budget.hand_to(&user);
    }
    let left = rate_budget.as_ref().map(RateBudget::spend).transpose();
    let left = left.map_err(|exhausted| Problem::rate_limited(exhausted.0))?;
    let permit = match &credentials {
        Credentials::NotRequired | Credentials::Authenticated { .. } => app.live.permits.acquire(),
        Credentials::Unauthenticated { .. } | Credentials::Rejected { .. } => app
            .live
            .permits
            .acquire_unauthenticated(client_address::of(&app.proxies, &parts.extensions, &parts.headers)),
    };
    let permit = permit.ok_or_else(Problem::too_many_connections)?;
    let peer = peer(&app.live, &asked, (user, permit), credentials, &accepted, rate_budget.clone())?;
    let place = parts.extensions.remove::<ConnectionInfo>().map(|arrival| arrival.place);
    if let Some(place) = &place {
        place.prove(); // from here on the socket permit bounds it
    }
    let live = app.live.clone();
    app.live.tasks.spawn(async move {
        // What belongs to the handshake is dropped here: a connection may last for days.
        if let Some(connection) = take_over(&live, upgrading, peer, first).await {
            let _open = Counted::one(&live.metrics().sockets);
            live.metrics().sockets_opened.inc();
            connection.run().await;
        }
        drop(place);
    });
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, Body::empty()).into_response();
    response.headers_mut().extend(accepted.headers);
    Ok(match (rate_budget, left) {
        (Some(rate_budget), Some(left)) => rate_budget.marked(response, left),
        _ => response,
    })
}

/// Takes over the socket from the HTTP server.
async fn take_over(
    live: &Arc<Live>,
    upgrading: OnUpgrade,
    peer: Peer,
    first: Option<ClientFrame>,
) -> Option<Connection> {
    let upgraded = upgrading.await.ok()?;
    let Ok(parts) = upgraded.downcast::<TokioIo<ConnectionIo>>() else {
        tracing::error!("an upgraded connection has an unexpected type");
        return None;
    };
    let socket = parts.io.into_inner().into_socket().ok()?;
    Some(Connection::new(live.clone(), socket, &parts.read_buf, peer, first))
}

/// `/ws?graphId=G&version=V&hash=H` subscribes at once.
fn first_subscription(asked: &QueryParameters) -> Result<Option<ClientFrame>, Problem> {
    let Some(graph) = asked.text("graphId") else { return Ok(None) };
    let graph = GraphId::parse(graph).map_err(|e| Problem::bad_request(format!("graphId: {e}")))?;
    let version = asked.version("version")?;
    let hash = asked.text("hash").map(ResumeHash::parse);
    Ok(Some(ClientFrame::Subscribe { graph, version, hash, pending: vec![] }))
}

/// The credentials of the handshake: from its header, else from the subprotocol, which browsers can set. A bad token in
/// the subprotocol is reported by a close code, since a page can't see the status of a handshake.
fn handshake_credentials(
    auth: &Auth,
    proved: Option<Arc<Grant>>,
    offered: &[String],
    rate_budget: Option<&RateBudget>,
) -> Credentials {
    let Auth::Keys(keys) = auth else { return Credentials::NotRequired };
    if let Some(grant) = proved {
        return Credentials::authenticated(keys.clone(), grant);
    }
    let Some(token) = offered.iter().find_map(|offer| offer.strip_prefix(BEARER)) else {
        return Credentials::unauthenticated(keys.clone());
    };
    match authentication::prove(keys, token, rate_budget) {
        Ok(grant) => Credentials::authenticated(keys.clone(), grant),
        Err(AuthenticationError::Bad(bad)) => Credentials::Rejected { why: bad.to_string() },
        Err(AuthenticationError::TooMany(_)) => Credentials::Rejected { why: TOO_MANY_BAD_TOKENS.to_owned() },
    }
}

fn peer(
    live: &Live,
    asked: &QueryParameters,
    (user, permit): (UserId, SocketPermit),
    credentials: Credentials,
    accepted: &Accepted,
    rate_budget: Option<RateBudget>,
) -> Result<Peer, Problem> {
    let id = Uuid::now_v7();
    let named = match asked.text("clientId") {
        Some(text) => ClientId::parse(text),
        None => ClientId::parse(&id.to_string()),
    };
    let client = named.map_err(|e| Problem::bad_request(format!("clientId: {e}")))?;
    let is_client_named = asked.text("clientId").is_some();
    let format = if accepted.protocol == Some(MESSAGE_PACK) { Format::MessagePack } else { Format::Json };
    let encoding = FrameEncoding { format, deflate: accepted.deflate };
    let (who, follows) = ((&user, Some(&client)), Follows::Graphs(Default::default()));
    let listed = live.connections.opened(id, Transport::WebSocket, who, follows, live.graphs.now());
    Ok(Peer { id, permit, user, credentials, rate_budget, client, is_client_named, encoding, listed })
}

fn handshake_problem(error: HandshakeError) -> Problem {
    match error {
        HandshakeError::Version => Problem::upgrade_required(error.to_string()),
        _ => Problem::bad_request(error.to_string()),
    }
}
