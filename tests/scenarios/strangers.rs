//! Strangers at the agents' port, many of them and slow: agents that are in stay in, and the log stays readable.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::time::Duration;

use roadstead_controller::cli::raise_file_limit;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::message::hello::{Refusal, Reply};
use roadstead_tests::raw::{RawLink, hello};
use roadstead_tests::{Dockerd, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::site::{Dial, SOON, Site};

/// How many trickle at a time; `ROADSTEAD_STRANGERS` sets another number.
const STRANGERS: u32 = 10_000;

/// Each sends a byte so often, and comes back as soon when it was let go.
const TRICKLE_EVERY: Duration = Duration::from_secs(2);

/// How long agents are watched meanwhile.
const WATCHED: Duration = Duration::from_secs(15);

/// Lines about strangers that a minute of flood may leave, as the program has them, twice over a turn of the minute.
const LINES: usize = 2 * 21;

/// A TLS 1.3 record header that promises a hello of 512 bytes, and the beginning of that.
const TRICKLE: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// What the strangers have come to.
#[derive(Default)]
struct Crowd {
    inside: AtomicU32,
    let_go: AtomicU32,
    heard: AtomicUsize,
}

/// Trickles bytes again and again, for ever, from one of a network's addresses: places are counted by address.
async fn trickle(number: u32, address: SocketAddr, crowd: Arc<Crowd>) {
    let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 64, 0, 1)) + number / 8);
    let mut ticks = interval(TRICKLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let socket = TcpSocket::new_v4().unwrap();
        let bound = socket.bind(SocketAddr::from((source, 0)));
        let (Ok(()), Ok(mut stream)) = (bound, socket.connect(address).await) else { continue };
        crowd.inside.fetch_add(1, Relaxed);
        let (mut said, mut bytes) = (TRICKLE.iter(), Vec::new());
        loop {
            let go_on = tokio::select! {
                read = stream.read_buf(&mut bytes) => read.is_ok_and(|count| count > 0),
                _ = ticks.tick() => match said.next() {
                    Some(byte) => stream.write_all(&[*byte]).await.is_ok(),
                    None => true,
                },
            };
            if !go_on {
                break;
            }
        }
        crowd.heard.fetch_max(bytes.len(), Relaxed);
        crowd.let_go.fetch_add(1, Relaxed);
        crowd.inside.fetch_sub(1, Relaxed);
    }
}

#[expect(clippy::print_stderr, reason = "how agents fare meanwhile is of interest, also where all is well")]
#[tokio::test]
async fn ten_thousand_strangers_who_trickle_bytes_put_nobody_out_and_keep_nobody_out() {
    raise_file_limit();
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let member = site.join(Dial::Outbound, &engine, "honest").await;
    let mut returning = site.join(Dial::Outbound, &engine, "returning").await;
    let before = site.instance(&member.id).await;
    let address = site.controller.agents();
    let number = std::env::var("ROADSTEAD_STRANGERS").ok().and_then(|text| text.parse().ok());
    let number = number.unwrap_or(STRANGERS);
    let (crowd, mut strangers) = (Arc::new(Crowd::default()), JoinSet::new());
    for one in 0..number {
        strangers.spawn(trickle(one, address, Arc::clone(&crowd)));
    }
    let start = Instant::now();
    eventually("the controller to have more than it takes", SOON, async || {
        (crowd.let_go.load(Relaxed) > number / 4).then_some(())
    })
    .await;
    let (mut ticks, mut inside, begun) = (interval(Duration::from_secs(1)), 0, Instant::now());
    while begun.elapsed() < WATCHED {
        ticks.tick().await;
        inside = inside.max(crowd.inside.load(Relaxed));
        assert_eq!(site.instance(&member.id).await["link"]["state"], "live");
    }
    let since = site.instance(&returning.id).await["link"]["since"].clone();
    let killed = Instant::now();
    returning.agent.kill().await;
    returning.agent.start_again().await;
    let again = |instance: &Value| instance["link"]["state"] == "live" && instance["link"]["since"] != since;
    site.instance_when("the killed agent to be back", SOON, &returning.id, again).await;
    let back = killed.elapsed();
    let joining = Instant::now();
    site.join(Dial::Outbound, &engine, "newcomer").await;
    let joined = joining.elapsed();
    let after = site.instance(&member.id).await;
    assert_eq!(after["link"]["since"], before["link"]["since"], "{}", after["link"]);
    let heard = crowd.heard.load(Relaxed);
    // All that is said to one of them is what TLS says to a broken hello.
    assert!(heard <= 7, "a stranger heard {heard} bytes, and an alert has 7");
    eprintln!(
        "{number} strangers for {:.0?} (at most {inside} connected at a time, {} let go): the agent that was in stayed live, \
         one that was killed was back in {back:.2?}, a new one had joined in {joined:.2?}",
        start.elapsed(),
        crowd.let_go.load(Relaxed),
    );
    // Ten thousand that go in the middle of what they had to say hold nobody up either.
    strangers.shutdown().await;
    site.join(Dial::Outbound, &engine, "afterwards").await;
    assert_eq!(site.instance(&member.id).await["link"]["since"], before["link"]["since"]);
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
