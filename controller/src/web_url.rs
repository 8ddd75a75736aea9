//! Addresses of web servers, as the operator or a provider of sign-ins writes them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::Uri;

/// Longest address that is taken, in bytes.
const LONGEST: usize = 2048;

/// An `https` or `http` address without user, password and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUrl {
    text: String,
    uri: Uri,
    tls: bool,
}

/// Text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a web address: {problem}")]
pub struct InvalidWebUrl {
    text: String,
    problem: &'static str,
}

impl WebUrl {
    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is asked over TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host's name or address, an IPv6 one without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, by default that of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// Host and port, as a `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    /// Whether nothing that is said leaves this host, or it is said over TLS.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let loopback = self.host().parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback());
        self.tls || loopback || self.host().eq_ignore_ascii_case("localhost")
    }
}

impl FromStr for WebUrl {
    type Err = InvalidWebUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebUrl> {
        let invalid = |problem| InvalidWebUrl { text: text.chars().take(100).collect(), problem };
        if text.len() > LONGEST {
            return Err(invalid("it is longer than 2048 characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("it has no spaces, and letters beyond ASCII are written as xn--… or %…"));
        }
        if text.contains('#') {
            return Err(invalid("leave out what follows the #"));
        }
        let uri: Uri = text.parse().map_err(|_| invalid("write it as https://host/path"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid("it begins with https:// or http://")),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(invalid("leave out user and password"));
        }
        let url = Self { text: text.to_owned(), uri, tls };
        if url.host().is_empty() || (url.authority().ends_with(':')) {
            return Err(invalid("write it as https://host/path, or https://host:port/path"));
        }
        Ok(url)
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url: WebUrl = "https://id.example.org/realms/a?b=c".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("id.example.org", 443, "/realms/a?b=c"));
        let url: WebUrl = "http://[::1]:8080".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path(), url.authority()), ("::1", 8080, "/", "[::1]:8080"));
    }

    #[test]
    fn what_stays_on_this_host_or_is_under_tls_is_private() {
        for private in ["https://id.example.org", "http://127.0.0.1:1", "http://localhost", "http://[::1]/x"]
        {
            assert!(private.parse::<WebUrl>().unwrap().is_private(), "{private}");
        }
        for open in
            ["http://id.example.org", "http://10.0.0.1", "http://localhost.example.org", "http://[::2]"]
        {
            assert!(!open.parse::<WebUrl>().unwrap().is_private(), "{open}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let long = format!("https://a/{}", "b".repeat(LONGEST));
        for none in [
            "",
            "/path",
            "id.example.org",
            "javascript:alert(1)",
            "ftp://a",
            "https://",
            "https://a:b@c/",
            "https://a/#b",
            "https://a:/",
            "https://a b/",
            &long,
        ] {
            assert!(none.parse::<WebUrl>().is_err(), "{none}");
        }
    }

    #[test]
    fn fuzz_web_addresses() {
        let samples = ["https://id.example.org:8443/realms/a?b=c", "http://[::1]/", "http://127.0.0.1:1"];
        fuzz("web addresses", &text(&samples, &["@", "#", "\r\n", "//", "\\", "[::", "65536"]), |text| {
            let Ok(url) = text.parse::<WebUrl>() else { return false };
            // What is sent on a line of its own, or into a header, holds neither end of line nor space.
            let plain = |part: &str| part.bytes().all(|byte| byte > b' ' && byte != 127);
            assert!(plain(url.authority()) && plain(url.path()) && url.path().starts_with(['/', '?']));
            assert!(!url.host().is_empty() && !url.authority().contains('@'));
            true
        });
    }
}
