//! `GET /ws`: the WebSocket (rules W).
//!
//! [`incoming`] is what clients say and [`acting`] what is done about it; [`connection`] moves the
//! bytes, [`following`] asks the cursors what comes next, [`frames`] is what is said, [`standing`] what the peer
//! has proved and may do; the codec is [`crate::websocket`]. A connection owns its socket: once the handshake is answered nothing of the
//! HTTP server's stays.

mod acting;
mod connection;
mod envelope;
mod fetch;
mod fetches;
mod following;
mod frames;
pub(super) mod incoming;
mod judge;
mod output;
mod presence;
mod reading;
mod receiving;
mod seats;
mod standing;
mod subscription;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dao_projections::{ClientId, GraphId, UserId};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    App, SocketConfig,
    authentication::{self as guard, AuthenticationError as Unproved},
    client_address::{self, ConnectionInfo as Arrival},
    command_parser::ClientIdentity as Sending,
    connection_io::ConnectionIo as Line,
    extractors::QueryParameters as Asked,
    format::Format,
    problem::Problem,
    rate_limits::RateBudget as Purse,
    request_body::Bodies,
    request_limits::RequestLimits,
};
use crate::{
    auth::{Auth, Grant},
    live::Hub,
    read::ResumeHash,
    telemetry::{Counted, LiveMetrics},
    websocket::{Accepted, HandshakeError, accept},
    write::Graphs,
};
use connection::Connection;
use frames::Voice;
use incoming::ClientFrame;
pub(super) use seats::Seat;
use seats::Seats;
use standing::{Standing, TOO_MANY};

/// The subprotocol of JSON text frames; also what a client gets that names none.
const JSON: &str = "dao.v1.json";
/// The subprotocol of MessagePack binary frames.
const MESSAGE_PACK: &str = "dao.v1.msgpack";

/// The subprotocol that brings a token, beside the one that is spoken.
const BEARER: &str = "bearer.";

/// What sockets share.
pub(super) struct Live {
    pub(super) graphs: Arc<Graphs>,
    pub(super) hub: Hub,
    heartbeat: Duration,
    pub(super) limits: RequestLimits,
    bodies: Arc<Bodies>,
    seats: Arc<Seats>,
    /// For how long at least operations are remembered.
    operation_ttl: Duration,
    pub(super) stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Live {
    pub(super) fn new(
        graphs: Arc<Graphs>,
        config: SocketConfig,
        limits: RequestLimits,
        bodies: Arc<Bodies>,
    ) -> Arc<Self> {
        Arc::new(Self {
            graphs: graphs.clone(),
            hub: Hub::new(graphs, config.live),
            heartbeat: config.heartbeat,
            limits,
            bodies,
            seats: Seats::new(config.connections_max),
            operation_ttl: config.operation_ttl,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// What of sockets and streams is counted.
    pub(super) fn metrics(&self) -> &LiveMetrics {
        &self.graphs.metrics().live
    }

    /// A seat for somebody who has proved who they are, or is not asked to; `None` when all are taken.
    pub(super) fn seat(&self) -> Option<Seat> {
        self.seats.take()
    }

    /// Tells every connection to say goodbye, and waits until they have.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.hub.close().await;
    }
}

/// Who is on a connection, and how it speaks.
struct Peer {
    id: Uuid,
    seat: Seat,
    /// Whoever has proved to be there, or says so where nothing is proved; nobody's before that.
    user: UserId,
    standing: Standing,
    /// What its frames are taken from; `None` without limits.
    purse: Option<Purse>,
    client: ClientId,
    /// Whether the handshake named the client; else it is the connection.
    is_client_named: bool,
    voice: Voice,
}

impl Peer {
    /// Through which client commands come that do not name one.
    fn sending(&self) -> Sending {
        match self.is_client_named {
            true => Sending::Named(self.client.clone()),
            false => Sending::Connection(self.client.clone()),
        }
    }
}

/// Open a WebSocket (rules W); its frames are the schemas ClientFrame and ServerFrame.
// The connection runs in a task of its own until it ends.
pub(super) async fn upgrade(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let proved = guard::proved(&app, &parts)?;
    let asked = Asked::from_request_parts(&mut parts, &app).await?;
    let first = first_subscription(&asked)?;
    let accepted = accept(&parts.headers, &[JSON, MESSAGE_PACK]).map_err(handshake_problem)?;
    let Some(upgrading) = parts.extensions.remove::<OnUpgrade>() else {
        return Err(Problem::bad_request("this connection can't be upgraded: use HTTP/1.1"));
    };
    let mut purse = Purse::of(&app, &parts, None);
    let standing = standing(&app.auth, proved, &accepted.offered, purse.as_ref());
    let user = match &standing {
        Standing::Proven { grant, .. } => grant.user.clone(),
        Standing::Open => guard::claimed(&mut parts, &app).await?,
        Standing::Unproven { .. } | Standing::Refused { .. } => app.anonymous.clone(),
    };
    // A handshake is a request of whoever is known by it; one that proves nothing is its address's.
    let is_known = match &standing {
        Standing::Proven { .. } => true,
        Standing::Open => user != app.anonymous,
        Standing::Unproven { .. } | Standing::Refused { .. } => false,
    };
    if let Some(purse) = purse.as_mut().filter(|_| is_known) {
        purse.hand_to(&user);
    }
    let left = purse.as_ref().map(Purse::spend).transpose();
    let left = left.map_err(|exhausted| Problem::rate_limited(exhausted.0))?;
    let seat = match &standing {
        Standing::Open | Standing::Proven { .. } => app.live.seats.take(),
        Standing::Unproven { .. } | Standing::Refused { .. } => {
            app.live.seats.take_unproven(client_address::of(&app.proxies, &parts.extensions, &parts.headers))
        }
    };
    let seat = seat.ok_or_else(Problem::too_many_connections)?;
    let peer = peer(&asked, user, seat, standing, &accepted, purse.clone())?;
    let place = parts.extensions.remove::<Arrival>().map(|arrival| arrival.place);
    if let Some(place) = &place {
        place.prove(); // from here on seats bound it
    }
    let live = app.live.clone();
    app.live.tasks.spawn(async move {
        // What belongs to the handshake is let go of here: a connection may last for days.
        if let Some(connection) = take_over(&live, upgrading, peer, first).await {
            let _open = Counted::one(&live.metrics().sockets);
            live.metrics().sockets_opened.inc();
            connection.run().await;
        }
        drop(place);
    });
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, Body::empty()).into_response();
    response.headers_mut().extend(accepted.headers);
    Ok(match (purse, left) {
        (Some(purse), Some(left)) => purse.marked(response, left),
        _ => response,
    })
}

/// The connection on the socket that the HTTP server gives up.
async fn take_over(
    live: &Arc<Live>,
    upgrading: OnUpgrade,
    peer: Peer,
    first: Option<ClientFrame>,
) -> Option<Connection> {
    let upgraded = upgrading.await.ok()?;
    let Ok(parts) = upgraded.downcast::<TokioIo<Line>>() else {
        tracing::error!("an upgraded connection was not a line");
        return None;
    };
    let socket = parts.io.into_inner().into_socket().ok()?;
    Some(Connection::new(live.clone(), socket, &parts.read_buf, peer, first))
}

/// `/ws?graphId=G&version=V&hash=H` subscribes at once.
fn first_subscription(asked: &Asked) -> Result<Option<ClientFrame>, Problem> {
    let Some(graph) = asked.text("graphId") else { return Ok(None) };
    let graph = GraphId::parse(graph).map_err(|e| Problem::bad_request(format!("graphId: {e}")))?;
    let version = asked.version("version")?;
    let hash = asked.text("hash").map(ResumeHash::parse);
    Ok(Some(ClientFrame::Subscribe { graph, version, hash, pending: vec![] }))
}

/// What the handshake proves: by its header, else by the subprotocol that browsers can put a token into. A bad
/// one of those is told by a close code, since a page can't see the status of a handshake.
fn standing(auth: &Auth, proved: Option<Arc<Grant>>, offered: &[String], purse: Option<&Purse>) -> Standing {
    let Auth::Keys(keys) = auth else { return Standing::Open };
    if let Some(grant) = proved {
        return Standing::proven(keys.clone(), grant);
    }
    let Some(token) = offered.iter().find_map(|offer| offer.strip_prefix(BEARER)) else {
        return Standing::unproven(keys.clone());
    };
    match guard::prove(keys, token, purse) {
        Ok(grant) => Standing::proven(keys.clone(), grant),
        Err(Unproved::Bad(bad)) => Standing::Refused { why: bad.to_string() },
        Err(Unproved::TooMany(_)) => Standing::Refused { why: TOO_MANY.to_owned() },
    }
}

fn peer(
    asked: &Asked,
    user: UserId,
    seat: Seat,
    standing: Standing,
    accepted: &Accepted,
    purse: Option<Purse>,
) -> Result<Peer, Problem> {
    let id = Uuid::now_v7();
    let named = match asked.text("clientId") {
        Some(text) => ClientId::parse(text),
        None => ClientId::parse(&id.to_string()),
    };
    let client = named.map_err(|e| Problem::bad_request(format!("clientId: {e}")))?;
    let is_client_named = asked.text("clientId").is_some();
    let format = if accepted.protocol == Some(MESSAGE_PACK) { Format::MessagePack } else { Format::Json };
    let voice = Voice { format, deflate: accepted.deflate };
    Ok(Peer { id, seat, user, standing, purse, client, is_client_named, voice })
}

fn handshake_problem(error: HandshakeError) -> Problem {
    match error {
        HandshakeError::Version => Problem::upgrade_required(error.to_string()),
        _ => Problem::bad_request(error.to_string()),
    }
}
