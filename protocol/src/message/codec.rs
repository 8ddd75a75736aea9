//! Messages to bytes and back: MessagePack with named fields, bounded before and while decoding.
//!
//! Named fields let either side add one (`to_vec` would write positions, which an older reader misreads); internally
//! tagged enums with an `Unknown` variant let either side add a variant. Decoding is always into a type, never into
//! untyped values, since a legal 1 MB frame can become 164 MB of those.

use serde::{Deserialize, Serialize};

use super::Directed;

/// What reads bytes that stay where they are.
type Reader<'a> = rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'a, [u8]>>;

/// Largest message of a session in bytes. Checked before decoding, and by the WebSocket before assembling.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Largest handshake message in bytes, since its sender is still a stranger.
pub const MAX_HANDSHAKE: usize = 16 * 1024;

/// What a sender aims for when it splits something long, in bytes: what reads it has to be as large, for a while.
pub const CHUNK: usize = 16 * 1024;

/// What a part of a snapshot has at most, unless one container alone has more, in bytes. Small, since a whole fleet sends
/// its pictures at once after a restart, and what they are read into has to be as large.
pub const PART: usize = 4 * 1024;

/// Deepest nesting that is decoded. The deepest message of ours needs a third of it.
const MAX_DEPTH: usize = 32;

/// Bytes that are not a message. The peer's fault; ends the session.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Larger than the limit.
    #[error("message of {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Not MessagePack, or not the message expected here.
    #[error("not a valid message: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// A whole message, and then more.
    #[error("more bytes after the message")]
    Trailing,
    /// A message that only the other side may send.
    #[error("a message of the wrong direction")]
    WrongDirection,
}

/// A value that cannot be sent. Ours to mend.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Larger than the peer would accept.
    #[error("message of {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Serialization failed.
    #[error("cannot encode: {0}")]
    Serialize(#[from] rmp_serde::encode::Error),
}

/// Encodes `message`, at most `limit` bytes.
///
/// # Errors
/// If it is larger than `limit` or cannot be serialized.
pub fn encode<M: Serialize>(message: &M, limit: usize) -> Result<Vec<u8>, EncodeError> {
    let bytes = rmp_serde::to_vec_named(message)?;
    if bytes.len() > limit {
        return Err(EncodeError::TooLarge { size: bytes.len(), limit });
    }
    Ok(bytes)
}

/// Encodes `message` after what is in `bytes` already.
///
/// # Errors
/// If it is larger than `limit` or cannot be serialized; then some of it may be in `bytes`.
pub fn encode_after<M: Serialize>(bytes: &mut Vec<u8>, message: &M, limit: usize) -> Result<(), EncodeError> {
    let before = bytes.len();
    rmp_serde::encode::write_named(bytes, message)?;
    let size = bytes.len() - before;
    if size > limit { Err(EncodeError::TooLarge { size, limit }) } else { Ok(()) }
}

/// Decodes exactly one message of at most `limit` bytes.
///
/// # Errors
/// If the bytes are too many, too deeply nested, malformed, not an `M`, or go on after it.
pub fn decode<'a, M: Deserialize<'a>>(bytes: &'a [u8], limit: usize) -> Result<M, DecodeError> {
    read(bytes, limit, |deserializer| M::deserialize(deserializer))
}

/// Decodes exactly so many values that [`encode_after`] wrote one after the other, of at most `limit` bytes together.
///
/// # Errors
/// As [`decode`].
pub fn decode_several<'a, M: Deserialize<'a>>(
    bytes: &'a [u8],
    count: usize,
    limit: usize,
) -> Result<Vec<M>, DecodeError> {
    read(bytes, limit, |deserializer| (0..count).map(|_| M::deserialize(&mut *deserializer)).collect())
}

/// Reads exactly what there is.
fn read<'a, T>(
    bytes: &'a [u8],
    limit: usize,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, rmp_serde::decode::Error>,
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge { size: bytes.len(), limit });
    }
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(MAX_DEPTH);
    let message = read(&mut deserializer)?;
    // The deserializer does not tell where it stands. Asked for one more flat value, it fails to read a first byte at
    // the end and only there.
    match bool::deserialize(&mut deserializer) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(message),
        Ok(_) | Err(_) => Err(DecodeError::Trailing),
    }
}

/// Decodes exactly one message of a session.
///
/// # Errors
/// As [`decode`], and if it is a message that travels in the other direction: to this side it has an unknown name, but
/// it is no message of a newer version.
pub fn decode_directed<M: Directed>(bytes: &[u8]) -> Result<M, DecodeError> {
    let message: M = decode(bytes, MAX_MESSAGE)?;
    let opposite = || decode::<M::Opposite>(bytes, MAX_MESSAGE);
    if message.is_unknown() && opposite().is_ok_and(|message| !message.is_unknown()) {
        return Err(DecodeError::WrongDirection);
    }
    Ok(message)
}

/// Size of `value` when encoded, in bytes: what a sender adds up to stay below [`CHUNK`].
///
/// # Errors
/// If it cannot be serialized.
pub fn encoded_size<M: Serialize>(value: &M) -> Result<usize, EncodeError> {
    Ok(rmp_serde::to_vec_named(value)?.len())
}

#[cfg(test)]
mod tests;
