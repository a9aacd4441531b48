//! Connections that take places, memory or turns from others (O3, W6).
