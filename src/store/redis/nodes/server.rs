//! One server, and the connections to it.

use std::sync::Arc;

use fred::{
    clients::SubscriberClient,
    prelude::{Client, Config},
    types::config::{Server, ServerConfig},
};
use tokio::{
    sync::{Mutex as TurnMutex, Notify},
    time::Instant,
};

use super::connection::{Connection, MakeClient};
use crate::store::redis::client_builder::{WAITING_MAX, client_builder};

/// Which connection to a server a call goes over: a long range read would hold up the appends behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum ConnectionRole {
    Writer,
    Reader,
}

/// Makes clients.
#[derive(Clone)]
pub(super) struct ClientFactory {
    pub(super) address: Config,
    pub(super) location: String,
}

impl ClientFactory {
    fn address(&self, server: Option<&Server>) -> Config {
        let mut address = self.address.clone();
        if let Some(server) = server {
            address.server = ServerConfig::Centralized { server: server.clone() };
        }
        address
    }

    pub(super) fn location(&self, server: Option<&Server>) -> String {
        server.map_or_else(|| self.location.clone(), |server| format!("{} of {}", server, self.location))
    }

    pub(super) fn client(&self, server: Option<&Server>) -> MakeClient<Client> {
        let address = self.address(server);
        Arc::new(move || client_builder(address.clone()).build())
    }

    pub(super) fn subscriber(&self, server: Option<&Server>) -> MakeClient<SubscriberClient> {
        let address = self.address(server);
        Arc::new(move || {
            let mut builder = client_builder(address.clone());
            builder.with_performance_config(|p| p.broadcast_channel_capacity = WAITING_MAX);
            builder.build_subscriber_client()
        })
    }
}

/// One server, and the connections to it.
pub(super) struct Node {
    /// `None` where there is no cluster: the address says where it is.
    pub(super) server: Option<Server>,
    pub(super) writer: Connection<Client>,
    pub(super) reader: Connection<Client>,
    /// For slots that are on their way to it; made when it is needed. Whoever holds it has the connection to
    /// themselves.
    pub(super) asking: TurnMutex<Option<Connection<Client>>>,
    pub(super) began: Instant,
}

impl Node {
    pub(super) fn keep(maker: &ClientFactory, server: Option<Server>, changed: Arc<Notify>) -> Self {
        let connection = |changed| {
            Connection::keep(maker.client(server.as_ref()), maker.location(server.as_ref()), changed)
        };
        let (writer, reader) = (connection(changed.clone()), connection(changed));
        Self { writer, reader, asking: TurnMutex::default(), began: Instant::now(), server }
    }

    pub(super) async fn close(&self) {
        tokio::join!(self.writer.close(), self.reader.close());
    }

    pub(super) fn lane(&self, lane: ConnectionRole) -> &Connection<Client> {
        match lane {
            ConnectionRole::Writer => &self.writer,
            ConnectionRole::Reader => &self.reader,
        }
    }
}
