//! Asking the provider: one connection for each question, bounded in time and size, over TLS that its authorities
//! vouch for. Nobody is followed elsewhere.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use roadstead_protocol::link::relayed::{Roots, RootsError};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, PeerIncompatible};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::{OidcError, said};
use crate::web_url::WebUrl;

/// How long one question may take, from the look-up of the name to the last byte.
pub(super) const PATIENCE: Duration = Duration::from_secs(7);

/// Largest answer, in bytes: documents, keys, and tokens with the groups of a large house fit.
pub(super) const MAX_ANSWER: usize = 256 * 1024;

/// Asks the provider.
pub(super) struct Client {
    /// None until it is first needed: those of the system are many.
    tls: OnceLock<Arc<ClientConfig>>,
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// What an endpoint says that refuses (RFC 6749, 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl Client {
    /// Verifies by the authorities in `ca_file`, or by the system's.
    ///
    /// # Errors
    /// If that file cannot be used.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, OidcError> {
        let tls = OnceLock::new();
        if let Some(file) = ca_file {
            let roots = Roots::of_file(file).map_err(|error| OidcError::Authorities(error.to_string()))?;
            let _ = tls.set(roots.client());
        }
        Ok(Self { tls })
    }

    /// GETs a JSON document, as whom `token` was given to if there is one.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        url: &WebUrl,
        token: Option<&str>,
    ) -> Result<T, OidcError> {
        self.ask(url, Method::GET, String::new(), token.map(|token| format!("Bearer {token}"))).await
    }

    /// POSTs a form, and reads the JSON document that is answered.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: &WebUrl,
        form: String,
        authorization: Option<String>,
    ) -> Result<T, OidcError> {
        self.ask(url, Method::POST, form, authorization).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        url: &WebUrl,
        method: Method,
        body: String,
        authorization: Option<String>,
    ) -> Result<T, OidcError> {
        let request = request(url, method, body, authorization)
            .ok_or_else(|| OidcError::Unfit(format!("{url} cannot be asked")))?;
        let late = || unreachable(url, format!("no whole answer within {} s", PATIENCE.as_secs()));
        let answered = tokio::time::timeout(PATIENCE, self.exchange(url, request)).await;
        let (status, bytes) = answered.map_err(|_| late())??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes)
                .map_err(|_| OidcError::Unfit(format!("what is at {url} is not what is looked for there")));
        }
        let told = match serde_json::from_slice(&bytes) {
            Ok(Refusal { error, error_description }) => said(&error, error_description.as_deref()),
            Err(_) => "without saying why".to_owned(),
        };
        Err(OidcError::Unfit(format!("{url} answered {} {told}", status.as_u16())))
    }

    async fn exchange(
        &self,
        url: &WebUrl,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), OidcError> {
        let failed = |error: &dyn std::error::Error| unreachable(url, error.to_string());
        let socket = self.connect(url).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.map_err(|error| failed(&error))?;
        let answer = async {
            let response: Response<Incoming> =
                sender.send_request(request).await.map_err(|error| failed(&error))?;
            let status = response.status();
            let whole = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let whole = whole.map_err(|error| match error.downcast::<LengthLimitError>() {
                Ok(_) => OidcError::Unfit(format!("{url} answered more than {} KiB", MAX_ANSWER / 1024)),
                Err(error) => failed(&*error),
            })?;
            Ok((status, whole.to_bytes()))
        };
        // Whoever waits for the answer gets the connection's errors; it ends with the answer.
        let mut connection = std::pin::pin!(connection);
        let mut answer = std::pin::pin!(answer);
        let answered = tokio::select! {
            answered = &mut answer => Some(answered),
            _ = &mut connection => None,
        };
        match answered {
            Some(answered) => answered,
            None => answer.await,
        }
    }

    async fn connect(&self, url: &WebUrl) -> Result<Box<dyn Socket>, OidcError> {
        let failed = |error: io::Error| unreachable(url, error.to_string());
        let stream = TcpStream::connect((url.host(), url.port())).await.map_err(failed)?;
        if !url.is_tls() {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(url.host().to_owned())
            .map_err(|error| OidcError::Unfit(format!("{url}: {error}")))?;
        let connector = TlsConnector::from(self.tls()?);
        let connected = connector.connect(name, stream).await;
        Ok(Box::new(connected.map_err(|error| unreachable(url, in_words(&error)))?))
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, OidcError> {
        if let Some(tls) = self.tls.get() {
            return Ok(Arc::clone(tls));
        }
        let roots = Roots::of_system().map_err(|error| match error {
            RootsError::None => OidcError::Authorities(
                "this system has no certificate authorities; install its package of them (ca-certificates), or name \
                 a file of them here"
                    .to_owned(),
            ),
            error => OidcError::Authorities(error.to_string()),
        })?;
        Ok(Arc::clone(self.tls.get_or_init(|| roots.client())))
    }
}

/// Why TLS did not come about. That it is too old is said in words that help.
fn in_words(error: &io::Error) -> String {
    use PeerIncompatible::{ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig};
    let reason = error.get_ref().and_then(|error| error.downcast_ref());
    match reason {
        Some(
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(
                ServerDoesNotSupportTls12Or13 | ServerTlsVersionIsDisabledByOurConfig,
            ),
        ) => "it does not speak TLS 1.3, which is to be turned on there, or at a proxy in front of it"
            .to_owned(),
        _ => error.to_string(),
    }
}

fn unreachable(url: &WebUrl, reason: String) -> OidcError {
    OidcError::Unreachable { at: url.to_string(), reason }
}

fn request(
    url: &WebUrl,
    method: Method,
    body: String,
    authorization: Option<String>,
) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(method)
        .uri(url.path())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::try_from(authorization).ok()?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Full::new(Bytes::from(body))).ok()
}
