//! Dialler and listener together, over real TCP.

mod crowds;

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::{ListenLimits, Listener};
use crate::link::Link;
use crate::link::address::AgentAddress;
use crate::link::dialer::{DialError, dial, dial_socket};
use crate::link::identity::Identity;
use crate::link::tls::{self, Trust};

/// A listener at work.
struct Listening {
    address: AgentAddress,
    links: mpsc::Receiver<Link<TcpStream>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Listener>,
}

async fn listen(identity: &Identity, trust: Trust, limits: ListenLimits) -> Listening {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut listener = Listener::new(socket, identity.clone(), trust, limits);
    let address = format!("wss://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (sender, links) = mpsc::channel(16);
    let (stop, mut stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                link = listener.accept() => sender.send(link.unwrap()).await.unwrap(),
                _ = &mut stopped => return listener,
            }
        }
    });
    Listening { address, links, stop, task }
}

impl Listening {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect((self.address.host(), self.address.port())).await.unwrap()
    }

    async fn dropped(self) -> u64 {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().dropped()
    }
}

/// Reads until the other side ends the connection, in whichever way.
async fn ended(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

#[tokio::test]
async fn each_side_knows_the_other_by_its_key() {
    let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    for trust in [Trust::AnyProven, Trust::Only(ours.key())] {
        let mut listening = listen(&theirs, trust, ListenLimits::default()).await;
        let dialled = dial(&listening.address, &ours, Trust::Only(theirs.key())).await.unwrap();
        let accepted = listening.links.recv().await.unwrap();
        assert_eq!(dialled.peer(), theirs.key());
        assert_eq!(accepted.peer(), ours.key());
        assert!(listening.address.to_string().ends_with(dialled.remote()));
        assert!(accepted.remote().starts_with("127.0.0.1:"));
    }
}

#[tokio::test]
async fn an_address_the_caller_looked_up_is_dialled_as_it_is() {
    let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let listening = listen(&theirs, Trust::AnyProven, ListenLimits::default()).await;
    let socket = format!("127.0.0.1:{}", listening.address.port()).parse().unwrap();
    let elsewhere = "wss://nowhere.invalid:1".parse().unwrap();
    let link = dial_socket(socket, &elsewhere, &ours, Trust::Only(theirs.key())).await.unwrap();
    assert_eq!(link.peer(), theirs.key());
}

#[tokio::test]
async fn a_dialler_refuses_another_key_and_names_both() {
    let (ours, theirs, other) =
        (Identity::generate().unwrap(), Identity::generate().unwrap(), Identity::generate().unwrap());
    let mut listening = listen(&theirs, Trust::AnyProven, ListenLimits::default()).await;
    let error = dial(&listening.address, &ours, Trust::Only(other.key())).await.unwrap_err();
    let DialError::WrongKey { expected, presented, .. } = error else { panic!("{error}") };
    assert_eq!((expected, presented), (other.key(), theirs.key()));
    assert!(listening.links.try_recv().is_err());
}

#[tokio::test]
async fn a_listener_refuses_another_key_and_the_dialler_is_told() {
    let (ours, theirs, other) =
        (Identity::generate().unwrap(), Identity::generate().unwrap(), Identity::generate().unwrap());
    let mut listening = listen(&theirs, Trust::Only(other.key()), ListenLimits::default()).await;
    for _ in 0..20 {
        let error = dial(&listening.address, &ours, Trust::Only(theirs.key())).await.unwrap_err();
        let DialError::KeyRefused { key, .. } = error else { panic!("{error}") };
        assert_eq!(key, ours.key());
    }
    assert!(listening.links.try_recv().is_err());
}

/// A client made by hand: what the listener does to it.
async fn alert(listening: &Listening, config: ClientConfig) -> AlertDescription {
    let stream = listening.connect().await;
    let connector = TlsConnector::from(Arc::new(config));
    let name = tls::server_name(Trust::AnyProven).unwrap();
    // A TLS 1.3 client is done before the server is: it may learn on its first read only.
    let error = match connector.connect(name, stream).await {
        Ok(mut stream) => stream.read(&mut [0; 64]).await.unwrap_err(),
        Err(error) => error,
    };
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let mut listening = listen(&theirs, Trust::AnyProven, ListenLimits::default()).await;
    let mut config = tls::client_config(&ours, Trust::AnyProven);
    config.client_auth_cert_resolver =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
            .client_auth_cert_resolver;
    assert_eq!(alert(&listening, config).await, AlertDescription::CertificateRequired);
    assert!(listening.links.try_recv().is_err());
}

#[tokio::test]
async fn a_certificate_without_its_key_proves_nothing() {
    let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let forged = forge(&ours);
    for trust in [Trust::AnyProven, Trust::Only(ours.key())] {
        let mut listening = listen(&theirs, trust, ListenLimits::default()).await;
        let mut config = tls::client_config(&theirs, Trust::AnyProven);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&forged)));
        assert_eq!(alert(&listening, config).await, AlertDescription::DecryptError);
        assert!(listening.links.try_recv().is_err());
    }

    // The other way round: a listener that shows somebody else's certificate.
    let mut config = tls::server_config(&theirs, None, Trust::AnyProven);
    config.cert_resolver = Arc::new(SingleCertAndKey::from(forged));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: AgentAddress = format!("wss://{}", socket.local_addr().unwrap()).parse().unwrap();
    let forger = tokio::spawn(async move {
        let (stream, _) = socket.accept().await.unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.is_err()
    });
    let error = dial(&address, &theirs, Trust::Only(ours.key())).await.unwrap_err();
    assert!(matches!(error, DialError::Tls { .. }), "{error}");
    assert!(forger.await.unwrap());
}

/// The certificate of `victim` with another key.
fn forge(victim: &Identity) -> Arc<CertifiedKey> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = PrivateKeyDer::Pkcs8(rcgen::KeyPair::generate().unwrap().serialize_der().into());
    let key = provider.key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(victim.certified().cert.clone(), key))
}

#[tokio::test]
async fn a_client_of_tls_1_2_is_refused() {
    let theirs = Identity::generate().unwrap();
    let listening = listen(&theirs, Trust::AnyProven, ListenLimits::default()).await;
    let mut stream = listening.connect().await;
    stream.write_all(&client_hello_of_tls_1_2()).await.unwrap();
    let answer = ended(&mut stream).await;
    // An alert record: fatal, protocol_version.
    assert_eq!(answer, [0x15, 0x03, 0x03, 0x00, 0x02, 2, 70], "{answer:x?}");
}

fn client_hello_of_tls_1_2() -> Vec<u8> {
    let extensions = [
        &[0, 10, 0, 6, 0, 4, 0, 0x1d, 0, 0x17][..], // groups: x25519, P-256
        &[0, 11, 0, 2, 1, 0],                       // point format: uncompressed
        &[0, 13, 0, 4, 0, 2, 4, 3],                 // signature: ECDSA with P-256 and SHA-256
    ]
    .concat();
    let mut hello = vec![3, 3];
    hello.extend_from_slice(&[7; 32]);
    hello.push(0);
    hello.extend_from_slice(&[0, 2, 0xc0, 0x2b, 1, 0]);
    hello.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend_from_slice(&extensions);
    let mut record = vec![22, 3, 1];
    record.extend_from_slice(&u16::try_from(hello.len() + 4).unwrap().to_be_bytes());
    record.extend_from_slice(&[1, 0]);
    record.extend_from_slice(&u16::try_from(hello.len()).unwrap().to_be_bytes());
    record.extend_from_slice(&hello);
    record
}

#[tokio::test]
async fn no_handshake_is_ever_shortened_by_an_earlier_one() {
    let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let listening = listen(&theirs, Trust::AnyProven, ListenLimits::default()).await;
    let mut config = tls::client_config(&ours, Trust::AnyProven);
    config.resumption = rustls::client::Resumption::default();
    let connector = TlsConnector::from(Arc::new(config));
    for _ in 0..3 {
        let name = tls::server_name(Trust::AnyProven).unwrap();
        let stream = connector.connect(name, listening.connect().await).await.unwrap();
        // What is read during the upgrade is what would have brought a ticket.
        let (socket, _) = tokio_tungstenite::client_async("wss://host:1/agent", stream).await.unwrap();
        let kind = socket.get_ref().get_ref().1.handshake_kind();
        assert!(
            matches!(kind, Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn another_path_is_not_found() {
    let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let listening = listen(&theirs, Trust::AnyProven, ListenLimits::default()).await;
    let connector = TlsConnector::from(Arc::new(tls::client_config(&ours, Trust::AnyProven)));
    let name = tls::server_name(Trust::AnyProven).unwrap();
    let stream = connector.connect(name, listening.connect().await).await.unwrap();
    let error = tokio_tungstenite::client_async("wss://host:1/elsewhere", stream).await.unwrap_err();
    assert_eq!(error.to_string(), "HTTP error: 404 Not Found");
}

#[tokio::test]
async fn giving_up_on_accept_loses_nothing() {
    let (ours, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut listener = Listener::new(socket, theirs.clone(), Trust::AnyProven, ListenLimits::default());
    let address: AgentAddress = format!("wss://{}", listener.local_addr().unwrap()).parse().unwrap();
    let dialling = tokio::spawn(async move { dial(&address, &ours, Trust::AnyProven).await.map(|_| ()) });
    let mut given_up = 0_u32;
    loop {
        tokio::select! {
            biased;
            link = listener.accept() => break drop(link.unwrap()),
            () = tokio::task::yield_now() => given_up += 1,
        }
    }
    assert!(given_up > 0);
    dialling.await.unwrap().unwrap();
}

#[tokio::test]
async fn while_a_key_is_replaced_each_client_is_shown_the_key_it_expects() {
    let (old, new, stranger) = (identity(), identity(), identity());
    let ours = identity();
    let mut listening = listen(&old, Trust::AnyProven, ListenLimits::default()).await;
    listening.stop.send(()).unwrap();
    let mut listener = listening.task.await.unwrap();
    listener.replace(&new, Some(&old), Trust::Either(ours.key(), stranger.key()));
    let accepting = tokio::spawn(async move {
        let mut shown = Vec::new();
        for _ in 0..4 {
            shown.push(listener.accept().await.unwrap().shown().unwrap());
        }
        shown
    });
    for (trust, who) in [
        (Trust::Only(old.key()), old.key()),
        (Trust::Only(new.key()), new.key()),
        (Trust::Either(new.key(), old.key()), new.key()),
        // What it expects is not there: it gets the newest.
        (Trust::Either(stranger.key(), new.key()), new.key()),
    ] {
        assert_eq!(dial(&listening.address, &ours, trust).await.unwrap().peer(), who);
    }
    assert_eq!(accepting.await.unwrap(), [old.key(), new.key(), new.key(), new.key()]);
    assert!(listening.links.try_recv().is_err());
}

fn identity() -> Identity {
    Identity::generate().unwrap()
}
