//! Close codes: which may appear on the wire.

/// Why a connection ends, as RFC 6455 section 7.4 and its registry number it. A value is always one
/// that may be sent in a Close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: what the connection was for is done.
    pub const NORMAL: Self = Self(1000);
    /// 1001: this end goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the framing rules.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1007: a text that isn't UTF-8, or a payload that doesn't inflate.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: the peer may not do that.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: the message is longer than anything that is passed over.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: this end met something unexpected.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts; come back.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// 4401, of this application: who is there has not been proved, or no longer is.
    pub const UNAUTHENTICATED: Self = Self(4401);

    /// The code, if it may stand in a Close frame: the protocol's own (1004 to 1006 and 1015 are
    /// never sent), those the registry added (1012 to 1014: a peer echoes the 1012 of a restart), and
    /// the ranges left to libraries and applications.
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(code))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}
