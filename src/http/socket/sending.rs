//! Frames of a connection are put into its send queue.

use bytes::Bytes;

use super::{
    connection::{Connection, ConnectionPhase},
    server_frames::ServerFrame,
};
use crate::telemetry::Direction;

impl Connection {
    /// Sends the last frame.
    pub(super) fn end(&mut self, last: Bytes) {
        self.send(last);
        self.phase = ConnectionPhase::Closing;
    }

    pub(super) fn send(&mut self, frame: Bytes) {
        self.send_in_pieces([frame]);
    }

    /// Sends one frame whose pieces are shared with other connections.
    pub(super) fn send_in_pieces(&mut self, pieces: impl IntoIterator<Item = Bytes>) {
        if !self.is_alive() {
            return;
        }
        self.sent_messages += 1;
        for frame in pieces {
            self.sent_bytes += frame.len() as u64;
            self.send_queue.push(frame, self.now);
        }
    }

    /// Counts what is sent, once for all of a turn: these counters are those of all connections.
    pub(super) fn count_sent(&mut self) {
        let (messages, bytes) =
            (std::mem::take(&mut self.sent_messages), std::mem::take(&mut self.sent_bytes));
        if messages > 0 {
            self.live.metrics().messages.of(Direction::Out).inc_by(messages);
            self.live.metrics().bytes.of(Direction::Out).inc_by(bytes);
        }
    }

    pub(super) fn send_frame(&mut self, frame: &ServerFrame<'_>) {
        self.send(self.peer.encoding.encode(frame));
    }
}
