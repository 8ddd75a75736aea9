//! The web UI: its files, embedded when the controller was built, and its front page for every address that is one of
//! the UI's own.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::page;

/// What the UI may load: itself, and nothing from elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
);

/// Names under `assets/` hold a hash of what is in them: they never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Everything else is asked for again each time, which `ETag` makes cheap.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// A file of the UI, with its compressed forms where it has any.
struct File {
    name: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// By name, with their ETags.
static FILES: LazyLock<HashMap<&str, (&File, HeaderValue)>> = LazyLock::new(|| {
    let list: &'static [File] = include!(concat!(env!("OUT_DIR"), "/web_files.rs"));
    list.iter().map(|file| (file.name, (file, etag(file)))).collect()
});

/// The front page of the UI; if the controller was built without it, a page that says how to build it.
#[utoipa::path(get, path = "/", tag = "controller",
    responses((status = OK, body = String, content_type = "text/html")))]
pub async fn front_page(headers: HeaderMap) -> Response {
    file("index.html", &headers).unwrap_or_else(page::not_built)
}

/// Answers for every path that no route has: a file of the UI, or its front page where a browser asks for a page (the
/// UI knows what to show there). Everything else is not there.
pub async fn file_or_page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if !matches!(method, Method::GET | Method::HEAD) || path == "/api" || path.starts_with("/api/") {
        return page::no_such_route(&uri).into_response();
    }
    if let Some(found) = file(path.trim_start_matches('/'), &headers) {
        return found;
    }
    if path.starts_with("/assets/") || !accepts(&headers, header::ACCEPT.as_str(), "text/html") {
        return page::no_such_route(&uri).into_response();
    }
    front_page(headers).await
}

fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    let (file, etag) = FILES.get(name)?;
    let mut response = if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        content(file, headers)
    };
    let answer = response.headers_mut();
    answer.insert(header::ETAG, etag.clone());
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    answer.insert(header::CACHE_CONTROL, if name.starts_with("assets/") { FOR_EVER } else { ASK_AGAIN });
    answer.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Some(response)
}

fn content(file: &'static File, headers: &HeaderMap) -> Response {
    let takes = |coding| accepts(headers, header::ACCEPT_ENCODING.as_str(), coding);
    let (bytes, coding) = match (file.brotli, file.gzip) {
        (Some(bytes), _) if takes("br") => (bytes, Some("br")),
        (_, Some(bytes)) if takes("gzip") => (bytes, Some("gzip")),
        _ => (file.plain, None),
    };
    let mut response = Response::new(Body::from(bytes));
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(file.name)));
    if let Some(coding) = coding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

/// Whether a header that lists what a client takes names `wanted`, and does not rule it out.
fn accepts(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let (what, parameters) = item.split_once(';').unwrap_or((item, ""));
        what.trim().eq_ignore_ascii_case(wanted) && parameters.trim() != "q=0"
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn etag(file: &File) -> HeaderValue {
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(file.plain));
    // Letters, digits, `-` and `_` alone, so that it always is a header's value.
    HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    const SCRIPT: File =
        File { name: "assets/a-1.js", plain: b"plain", brotli: Some(b"brotli"), gzip: Some(b"gzip") };

    #[test]
    fn the_list_is_the_same_in_every_folder_it_is_built_in() {
        let list = include_str!(concat!(env!("OUT_DIR"), "/web_files.rs"));
        assert!(!list.contains(env!("CARGO_MANIFEST_DIR")), "{list}");
    }

    #[test]
    fn the_best_form_that_the_browser_takes_is_sent() {
        static FILE: File = SCRIPT;
        for (takes, coding) in [
            ("gzip, deflate, br", Some("br")),
            ("gzip;q=1.0, br;q=0", Some("gzip")),
            ("GZIP", Some("gzip")),
            ("deflate", None),
            ("brotli", None),
        ] {
            let answer = content(&FILE, &headers("accept-encoding", takes));
            let coded = answer.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!(coded, coding, "{takes}");
        }
    }

    #[tokio::test]
    async fn only_pages_fall_back_to_the_front_page() {
        let browser = || headers("accept", "text/html,application/xhtml+xml");
        let ask = async |method, path: &'static str, headers| {
            file_or_page(method, Uri::from_static(path), headers).await.status()
        };
        assert_eq!(ask(Method::GET, "/instances/some-id", browser()).await, StatusCode::OK);
        assert_eq!(ask(Method::GET, "/api/nothing", browser()).await, StatusCode::NOT_FOUND);
        assert_eq!(ask(Method::GET, "/api", browser()).await, StatusCode::NOT_FOUND);
        assert_eq!(ask(Method::GET, "/assets/gone-1.js", browser()).await, StatusCode::NOT_FOUND);
        assert_eq!(ask(Method::GET, "/instances/some-id", HeaderMap::new()).await, StatusCode::NOT_FOUND);
        assert_eq!(ask(Method::POST, "/instances/some-id", browser()).await, StatusCode::NOT_FOUND);
    }
}
