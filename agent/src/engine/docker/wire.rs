//! HTTP to the engine: one connection per request, over whatever the endpoint is, on the API version both sides know.
//!
//! Answers are read as far as they are needed (docs/adr/005-our-own-client-of-the-engine.md): a library's types lose
//! fields that they do not know, and bring along several times the code.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::connect::Endpoint;
use super::credentials::Credentials;
use super::errors;
use crate::engine::EngineError;

/// Newest API version whose answers are understood here.
const NEWEST_API: ApiVersion = ApiVersion { major: 1, minor: 53 };

/// A socket that is there answers at once; a host that is away must not hold anybody up for long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer read whole, in bytes: a list of thousands of containers fits.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// A version of the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// The way to one engine.
pub(super) struct Wire {
    endpoint: Endpoint,
    /// What was agreed with the engine that ran last; none until it was asked.
    api: Mutex<Option<ApiVersion>>,
    /// The tasks that move bytes; they end with their connection, at the latest with this.
    connections: Mutex<JoinSet<()>>,
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

impl Wire {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, api: Mutex::new(None), connections: Mutex::new(JoinSet::new()) }
    }

    /// Asks the engine which API versions it speaks and settles on one for everything that follows.
    pub(super) async fn negotiate(&self) -> Result<ApiVersion, WireError> {
        let request = request(Method::GET, "/_ping", Bytes::new())?;
        let (response, _) = self.send_to("/_ping", request).await?;
        let spoken = response.headers().get("api-version").and_then(|value| value.to_str().ok());
        // An engine that does not say is older than any that is supported; let it answer for itself.
        let agreed = spoken.and_then(ApiVersion::parse).unwrap_or(NEWEST_API).min(NEWEST_API);
        *self.api.lock().unwrap_or_else(PoisonError::into_inner) = Some(agreed);
        Ok(agreed)
    }

    /// Sends a request in the version agreed on. Returns when the response head is there.
    async fn send_versioned(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, AbortHandle), WireError> {
        let agreed = *self.api.lock().unwrap_or_else(PoisonError::into_inner);
        let ApiVersion { major, minor } = match agreed {
            Some(agreed) => agreed,
            None => self.negotiate().await?,
        };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = format!("/v{major}.{minor}{path}");
        self.send_to(&path, request).await
    }

    async fn send_to(
        &self,
        path: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, AbortHandle), WireError> {
        *request.uri_mut() = path.parse::<Uri>().map_err(io::Error::other)?;
        request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
        let socket = timeout(CONNECT_TIMEOUT, self.connect())
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection within 5 s"))??;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let connection = async move {
            // Whoever waits for the response gets the error.
            let _ = connection.await;
        };
        let task = {
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            while connections.try_join_next().is_some() {}
            connections.spawn(connection)
        };
        Ok((sender.send_request(request).await?, task))
    }

    async fn connect(&self) -> io::Result<Box<dyn Socket>> {
        Ok(match &self.endpoint {
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Endpoint::Loopback { address, port } => Box::new(TcpStream::connect((*address, *port)).await?),
            Endpoint::Tls { host, port, name, connector } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                Box::new(connector.connect(name.clone(), stream).await?)
            }
        })
    }

    /// GETs `path` and reads the answer whole.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        within: Duration,
    ) -> Result<T, EngineError> {
        self.call(Method::GET, path, Bytes::new(), within).await
    }

    /// POSTs `body`, JSON, to `path` and reads the answer whole.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
        within: Duration,
    ) -> Result<T, EngineError> {
        self.call(Method::POST, path, Bytes::from(body.to_string()), within).await
    }

    /// Has the engine do something; what it answers to that is left unread.
    pub(super) async fn act(&self, method: Method, path: &str, within: Duration) -> Result<(), EngineError> {
        whole(self.open(method, path, Bytes::new()), within).await.map(drop)
    }

    /// GETs `path`, with what signs in to the registry that is to be asked, and reads the answer whole.
    pub(super) async fn get_signed_in<T: DeserializeOwned>(
        &self,
        path: &str,
        credentials: Option<&Credentials>,
        within: Duration,
    ) -> Result<T, EngineError> {
        read(&whole(self.open_signed_in(Method::GET, path, credentials), within).await?)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<T, EngineError> {
        read(&whole(self.open(method, path, body), within).await?)
    }

    /// Sends a request and returns the answer's body if the engine agreed to it.
    pub(super) async fn open(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, EngineError> {
        let request = request(method, path, body).map_err(|error| errors::unreachable(&error))?;
        self.answer(request).await
    }

    /// As [`Self::open`], with what signs in to the registry that is to be asked.
    pub(super) async fn open_signed_in(
        &self,
        method: Method,
        path: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Answer, EngineError> {
        let mut request = request(method, path, Bytes::new()).map_err(|error| errors::unreachable(&error))?;
        if let Some(mut header) =
            credentials.and_then(|credentials| HeaderValue::try_from(credentials.header()).ok())
        {
            header.set_sensitive(true);
            request.headers_mut().insert("x-registry-auth", header);
        }
        self.answer(request).await
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Answer, EngineError> {
        let (response, connection) =
            self.send_versioned(request).await.map_err(|error| errors::unreachable(&error))?;
        let status = response.status();
        let answer = Answer { body: response.into_body(), connection };
        // What is so already need not be done.
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let said = answer.whole().await?;
        let message = serde_json::from_slice::<serde_json::Value>(&said)
            .ok()
            .and_then(|said| said["message"].as_str().map(str::to_owned))
            .unwrap_or_else(|| String::from_utf8_lossy(&said).trim().to_owned());
        Err(errors::by_status(status.as_u16(), &message))
    }
}

/// The body of an answer. Dropping it closes the connection at once, which is how the engine learns that nobody waits
/// for more; hyper by itself would notice only when more comes.
pub(super) struct Answer {
    body: Incoming,
    connection: AbortHandle,
}

impl Answer {
    /// The next bytes; none at the end.
    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, EngineError>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_trailers) => {}
                },
                Err(error) => return Some(Err(errors::unreachable(&error))),
            }
        }
    }

    /// All of it, refused beyond a limit.
    async fn whole(mut self) -> Result<Bytes, EngineError> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.chunk().await {
            whole.extend_from_slice(&data?);
            if whole.len() > MAX_ANSWER {
                return Err(errors::unreadable(&format!("more than {MAX_ANSWER} bytes")));
            }
        }
        Ok(whole.freeze())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The answer to what was asked with `opening`.
async fn whole(
    opening: impl Future<Output = Result<Answer, EngineError>>,
    within: Duration,
) -> Result<Bytes, EngineError> {
    let answer = async { opening.await?.whole().await };
    timeout(within, answer).await.map_err(|_| EngineError::TimedOut(within))?
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, EngineError> {
    // An empty answer (204) is read as null.
    let answer = if answer.is_empty() { b"null".as_slice() } else { answer };
    serde_json::from_slice(answer).map_err(|error| errors::unreadable(&error.to_string()))
}

fn request(method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, WireError> {
    let json = HeaderValue::from_static("application/json");
    let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, json);
    Ok(request.body(Full::new(body)).map_err(io::Error::other)?)
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// `text` made safe as a part of a path or query.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text| ApiVersion::parse(text).unwrap();
        assert!(version("1.41") < version("1.100"));
        assert!(version("1.44") < NEWEST_API);
        for bad in ["", "1", "1.x", "v1.41", "1.41.2"] {
            assert_eq!(ApiVersion::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_goes_into_a_path_is_escaped() {
        assert_eq!(escaped("a b/../c?d=%"), "a%20b%2F..%2Fc%3Fd%3D%25");
    }

    /// An engine that says it speaks `newest`, and answers every other request with the path it was asked for.
    fn engine_of(newest: &'static str, folder: &std::path::Path) -> (Wire, JoinSet<()>) {
        let socket = folder.join(newest);
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let body = format!("{path:?}");
                let head = format!(
                    "HTTP/1.1 200 OK\r\nApi-Version: {newest}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        (Wire::new(Endpoint::Unix(socket)), tasks)
    }

    #[tokio::test]
    async fn the_newest_version_that_both_sides_speak_is_used() {
        let folder = tempfile::tempdir().unwrap();
        for (newest, used) in [("1.41", "1.41"), ("1.52", "1.52"), ("1.99", "1.53")] {
            let (wire, _engine) = engine_of(newest, folder.path());
            let asked: String = wire.get("/containers/json?all=1", CONNECT_TIMEOUT).await.unwrap();
            assert_eq!(asked, format!("/v{used}/containers/json?all=1"));
            assert_eq!(wire.negotiate().await.unwrap(), ApiVersion::parse(used).unwrap());
        }
    }

    #[tokio::test]
    async fn the_engine_learns_at_once_that_nobody_waits_for_more() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let wire = Wire::new(Endpoint::Unix(socket));
        *wire.api.lock().unwrap() = Some(NEWEST_API);
        let engine = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 4096];
            assert!(stream.read(&mut read).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nmore to come").await.unwrap();
            stream
        };
        let (answer, mut engine) = tokio::join!(wire.open(Method::GET, "/events", Bytes::new()), engine);
        let mut answer = answer.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "more to come");
        drop(answer);
        let end = timeout(CONNECT_TIMEOUT, engine.read(&mut [0; 1])).await.expect("it is not closed");
        assert_eq!(end.unwrap(), 0);
    }
}
