//! How two programs hold a line: identities, pinned-key TLS, handshake, sessions.

pub mod address;
