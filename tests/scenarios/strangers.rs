//! Strangers at the agents' port, many of them and slow: agents that are in stay in, and the log stays readable.

use std::net::{Ipv4Addr, SocketAddr};

use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::message::hello::{Refusal, Reply};
use roadstead_tests::raw::{RawLink, hello};
use roadstead_tests::{Dockerd, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::site::{Dial, SOON, Site};

/// How many trickle at a time; `ROADSTEAD_STRANGERS` sets another number.
const STRANGERS: u32 = 2000;

/// Lines about strangers that a minute of flood may leave, as the program has them, twice over a turn of the minute.
const LINES: usize = 2 * 21;

/// A TLS 1.3 record header that promises a hello of 512 bytes, and the beginning of that.
const TRICKLE: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// Connects from a loopback network of its own for each number, since places are counted by address.
async fn stranger(number: u32, address: SocketAddr) -> Option<TcpStream> {
    let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 64, 0, 1)) + number / 8);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(address).await.ok()
}

#[tokio::test]
async fn strangers_who_trickle_bytes_put_nobody_out_and_hear_nothing() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let member = site.join(Dial::Outbound, &engine, "honest").await;
    let before = site.instance(&member.id).await;
    let address = site.controller.agents();
    let number = std::env::var("ROADSTEAD_STRANGERS").ok().and_then(|text| text.parse().ok());
    let mut strangers = Vec::new();
    for number in 0..number.unwrap_or(STRANGERS) {
        strangers.extend(stranger(number, address).await);
    }
    let mut heard = 0;
    for byte in TRICKLE {
        for stranger in &mut strangers {
            // Those for whom there was no place are gone already.
            let _ = stranger.write_all(&[*byte]).await;
        }
        assert_eq!(site.instance(&member.id).await["link"]["state"], "live");
    }
    // All are let go in time, and none was told anything but what TLS says to a broken hello.
    for mut stranger in strangers {
        let mut said = Vec::new();
        let _ = stranger.read_to_end(&mut said).await;
        heard = heard.max(said.len());
    }
    assert!(heard <= 7, "a stranger heard {heard} bytes, and an alert has 7");
    let after = site.instance(&member.id).await;
    assert_eq!(after["link"]["since"], before["link"]["since"], "{}", after["link"]);
    let other = Dockerd::start().await;
    site.join(Dial::Outbound, &other, "newcomer").await;
}

#[tokio::test]
async fn a_flood_of_refused_agents_is_counted_and_does_not_fill_the_log() {
    let site = Site::start().await;
    let address = site.controller.agents();
    let identity = Identity::generate().unwrap();
    for _ in 0..300 {
        let mut link = RawLink::dial(address, Some(&identity)).await.unwrap();
        let reply = link.greet(&hello("stranger", None)).await.unwrap();
        assert_eq!(reply, Reply::Refused(Refusal::NotRegistered));
    }
    let lines = eventually("refusals in the log", SOON, async || {
        let log = std::fs::read_to_string(site.controller.log()).unwrap();
        Some(log.matches("refused an agent").count()).filter(|lines| *lines > 0)
    })
    .await;
    assert!(lines <= LINES, "{lines} lines");
}

#[tokio::test]
async fn earlier_tls_is_refused_at_the_agents_port() {
    let site = Site::start().await;
    let mut stream = TcpStream::connect(site.controller.agents()).await.unwrap();
    stream.write_all(&tls12_hello()).await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    // One alert (RFC 8446, section 6): fatal, protocol_version.
    assert_eq!(said, [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46]);
}

/// A client hello as TLS 1.2 has it (RFC 5246, section 7.4.1.2), with what any server of that time needed.
fn tls12_hello() -> Vec<u8> {
    let mut body = vec![0x03, 0x03];
    body.extend([7; 32]);
    // No session; ECDHE-ECDSA and ECDHE-RSA with AES-128-GCM; no compression.
    body.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let mut extensions = Vec::new();
    extensions.extend([0x00, 0x0a, 0, 4, 0, 2, 0x00, 0x17]);
    extensions.extend([0x00, 0x0b, 0, 2, 1, 0]);
    extensions.extend([0x00, 0x0d, 0, 6, 0, 4, 0x04, 0x03, 0x04, 0x01]);
    body.extend([0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(extensions);
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let mut handshake = vec![1, 0, 0, length(&body)];
    handshake.extend(body);
    let mut record = vec![0x16, 0x03, 0x01, 0, length(&handshake)];
    record.extend(handshake);
    record
}
