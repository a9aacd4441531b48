//! Sockets: deflated frames, messages over the limit, presence, those who never prove who they are (O3, W5, W7).
