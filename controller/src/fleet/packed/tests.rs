//! What is packed comes out again, in every form there was, and what is not whole is refused.

use std::sync::Arc;

use roadstead_protocol::message::codec;
use roadstead_protocol::message::container::{Container, ContainerState, Port};
use roadstead_protocol::message::time::UnixMicros;
use serde_json::json;

use super::writing::{number_of_health, number_of_state};
use super::{HEALTHS, Packed, STATES, Unreadable, pack};
use crate::fixtures::container;
use crate::fleet::kept::Containers;
use crate::fleet::pool::Pool;

/// Container 1 of [`shop`], packed.
const FROZEN: &str = "\
    010f0263310762757379626f78087368613235363a3100026e6f03746370033a3a31037564700c73686f705f6465\
    6661756c74037765620473686f70016101620163056f7468657202020809010a0102500005010601901fffff0700\
    00014030303030303030303030303030303030303030303030303030303030303030303030303030303030303030\
    30303030303030303030303030303030303030303118060101000000000000000700000000000000ffffffffffff\
    ffff0001020304000001030b0a0c0a0d0e\
";

fn shop(number: u32) -> Container {
    let text = str::to_owned;
    let port = Port { private: 80, protocol: text("tcp"), host_ip: Some(text("::1")), public: Some(8080) };
    let exposed = Port { private: 65_535, protocol: text("udp"), host_ip: None, public: None };
    Container {
        labels: [("a", "shop"), ("b", "shop"), ("c", "other")].map(|(a, b)| (text(a), text(b))).into(),
        networks: vec![text("shop_default"), text("web")],
        mounts: vec![text("shop")],
        ports: vec![port, exposed],
        exit_code: Some(-1),
        finished_at: Some(UnixMicros(7)),
        ..container(number, ContainerState::Exited)
    }
}

fn kept(told: &[Container]) -> Containers {
    let pool = Pool::default();
    told.iter().map(|one| Arc::new(pool.keep(one.clone()))).collect()
}

fn unpacked(bytes: &[u8]) -> Result<Containers, Unreadable> {
    Packed::Bytes(bytes).unpack(&Pool::default())
}

#[test]
fn what_is_packed_comes_out_again_and_takes_less() {
    let unlike = Container { labels_truncated: true, oom_killed: true, started_at: None, ..shop(78) };
    let bare = container(77, ContainerState::Running);
    let told: Vec<_> = (0..20).map(shop).chain([bare, unlike]).collect();
    let (kept, named) = (kept(&told), codec::encode(&told, usize::MAX).unwrap());
    let bytes = pack(&kept);
    assert!(bytes.len() * 3 < named.len(), "{} instead of {} bytes", bytes.len(), named.len());
    assert_eq!(unpacked(&bytes).unwrap(), kept);
    assert_eq!(unpacked(&pack(&Containers::default())).unwrap(), Containers::default());
}

#[test]
fn every_state_and_health_comes_out_again() {
    let numbers: Vec<_> = STATES.iter().map(|state| number_of_state(*state)).collect();
    assert_eq!(numbers, (0..STATES.len()).collect::<Vec<_>>());
    let numbers: Vec<_> = HEALTHS.iter().map(|health| number_of_health(*health)).collect();
    assert_eq!(numbers, (0..HEALTHS.len()).collect::<Vec<_>>());
}

/// What lies on disks must be read for ever: if this fails, the form has changed, and needs another version.
#[test]
fn the_form_stays_as_it_is() {
    let bytes = pack(&kept(&[shop(1)]));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, FROZEN);
}

#[test]
fn what_is_cut_off_or_goes_on_is_refused() {
    let bytes = pack(&kept(&[shop(1), shop(2)]));
    for length in 0..bytes.len() {
        assert!(matches!(unpacked(&bytes[..length]), Err(Unreadable::Damaged)), "{length} bytes");
    }
    assert!(matches!(unpacked(&[&*bytes, &[0]].concat()), Err(Unreadable::Damaged)));
}

#[test]
fn whatever_is_damaged_is_containers_or_refused() {
    let bytes = pack(&kept(&[shop(1)]));
    for place in 0..bytes.len() {
        for byte in 0..=u8::MAX {
            let mut damaged = bytes.clone();
            damaged[place] = byte;
            let _ = unpacked(&damaged);
        }
    }
}

#[test]
fn what_refers_to_nothing_or_is_newer_is_refused() {
    // No texts, no lists, no ports; a list of one text.
    assert!(matches!(unpacked(&[1, 0, 1, 1, 0, 0, 0]), Err(Unreadable::Damaged)));
    // More texts than bytes; a number that no number is.
    assert!(matches!(unpacked(&[1, 100, 0]), Err(Unreadable::Damaged)));
    assert!(matches!(unpacked(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Err(Unreadable::Damaged)));
    assert!(matches!(unpacked(&[2, 0, 0, 0, 0]), Err(Unreadable::Newer(2))));
}

#[test]
fn what_was_packed_with_names_is_read() {
    let told = [shop(1), container(2, ContainerState::Running)];
    let mut texts: Vec<String> = Vec::new();
    let mut text = |text: &str| {
        texts.iter().position(|known| known == text).unwrap_or_else(|| {
            texts.push(text.to_owned());
            texts.len() - 1
        })
    };
    let mut entry = |one: &Container, ports: usize| {
        json!({
            "i": one.id, "n": text(&one.name), "g": text(&one.image), "d": text(&one.image_id),
            "c": text(&one.command), "t": one.created_at, "s": one.state, "h": one.health,
            "b": one.started_at, "e": one.finished_at, "x": one.exit_code, "o": one.oom_killed, "p": ports,
            "w": one.networks.iter().map(|name| text(name)).collect::<Vec<_>>(),
            "m": one.mounts.iter().map(|name| text(name)).collect::<Vec<_>>(),
            "l": one.labels.iter().map(|(name, value)| [text(name), text(value)]).collect::<Vec<_>>(),
            "z": one.labels_truncated, "r": text(&one.restart_policy),
        })
    };
    let containers = [entry(&told[0], 0), entry(&told[1], 1)];
    let named = json!({ "texts": texts, "ports": [told[0].ports, told[1].ports], "containers": containers });
    let bytes = codec::encode(&named, usize::MAX).unwrap();
    let packed: Packed<'_> = codec::decode(&bytes, usize::MAX).unwrap();
    assert!(matches!(packed, Packed::Named(_)));
    assert_eq!(packed.unpack(&Pool::default()).unwrap(), kept(&told));
    let nowhere = json!({ "texts": [], "ports": [told[0].ports, told[1].ports], "containers": containers });
    let bytes = codec::encode(&nowhere, usize::MAX).unwrap();
    let packed: Packed<'_> = codec::decode(&bytes, usize::MAX).unwrap();
    assert!(matches!(packed.unpack(&Pool::default()), Err(Unreadable::Damaged)));
}
