//! Tests of [`super`].

use super::{DecodeError, EncodeError, MAX_MESSAGE, decode, decode_directed, encode};
use crate::message::to_agent::ToAgent;
use crate::message::to_controller::ToController;

#[test]
fn one_message_and_nothing_after_it() {
    let bytes = encode(&ToAgent::Probe { nonce: 7 }, MAX_MESSAGE).unwrap();
    assert_eq!(decode::<ToAgent>(&bytes, MAX_MESSAGE).unwrap(), ToAgent::Probe { nonce: 7 });
    for more in 0..=255 {
        let mut longer = bytes.clone();
        longer.push(more);
        let refused = decode::<ToAgent>(&longer, MAX_MESSAGE);
        assert!(matches!(refused, Err(DecodeError::Trailing)), "{more:#x}: {refused:?}");
    }
    for end in 0..bytes.len() {
        let refused = decode::<ToAgent>(&bytes[..end], MAX_MESSAGE);
        assert!(matches!(refused, Err(DecodeError::Malformed(_))), "{end}: {refused:?}");
    }
}

#[test]
fn the_limit_is_the_largest_size_that_passes() {
    let bytes = encode(&ToAgent::Probe { nonce: 7 }, MAX_MESSAGE).unwrap();
    decode::<ToAgent>(&bytes, bytes.len()).unwrap();
    let refused = decode::<ToAgent>(&bytes, bytes.len() - 1);
    assert!(matches!(refused, Err(DecodeError::TooLarge { .. })));
    encode(&ToAgent::Probe { nonce: 7 }, bytes.len()).unwrap();
    let refused = encode(&ToAgent::Probe { nonce: 7 }, bytes.len() - 1);
    assert!(matches!(refused, Err(EncodeError::TooLarge { .. })));
}

#[test]
fn the_other_direction_is_refused_and_a_newer_message_is_not() {
    let bytes = encode(&ToAgent::Probe { nonce: 7 }, MAX_MESSAGE).unwrap();
    assert!(matches!(decode_directed::<ToController>(&bytes), Err(DecodeError::WrongDirection)));
    let newer = rmp_serde::to_vec_named(&serde_json::json!({"type": "newer", "nonce": 7})).unwrap();
    assert_eq!(decode_directed::<ToController>(&newer).unwrap(), ToController::Unknown);
    assert_eq!(decode_directed::<ToAgent>(&newer).unwrap(), ToAgent::Unknown);
}

#[test]
fn an_announced_length_is_not_believed() {
    // An array, a map, a string and a byte string of 4,294,967,295 elements each.
    for head in [0xdd_u8, 0xdf, 0xdb, 0xc6] {
        let mut bytes = b"\x82\xa4type\xa7figures\xa7samples".to_vec();
        bytes.push(head);
        bytes.extend_from_slice(&[0xff; 4]);
        assert!(matches!(decode_directed::<ToController>(&bytes), Err(DecodeError::Malformed(_))));
    }
}
