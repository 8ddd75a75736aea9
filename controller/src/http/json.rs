//! The body of an answer.

use std::io;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Problem;

/// Room for an answer to begin with, in bytes: few outgrow it more than twice.
const ROOM: usize = 16 * 1024;

/// An answer as JSON.
pub struct Json<T>(pub T);

/// JSON as it is written: most of what `serde_json` writes is a quote, a comma or a colon, each of them for itself, and
/// these must not cost a call, or a page of a hundred rows is ten thousand calls.
#[derive(Default)]
pub struct Text(Vec<u8>);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut text = Text(Vec::with_capacity(ROOM));
        match text.add(&self.0) {
            Ok(()) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.0)
                .into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written; please report it");
                Problem::internal().into_response()
            }
        }
    }
}

impl Text {
    /// Writes a value.
    ///
    /// # Errors
    /// If it cannot be JSON.
    pub fn add<T: Serialize>(&mut self, value: &T) -> serde_json::Result<()> {
        serde_json::to_writer(self, value)
    }

    /// Ends a line of a list that is a value a line.
    pub fn end_line(&mut self) {
        self.0.push(b'\n');
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl io::Write for Text {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match bytes {
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::body::to_bytes;
    use axum::http::StatusCode;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_what_serde_json_writes() {
        let long = "long ".repeat(ROOM);
        for value in [
            json!(null),
            json!({}),
            json!([1, -2.5, true, "", "\"quoted\"\n\u{1}", "b\u{fc}ro"]),
            json!([long, long]),
        ] {
            let answer = Json(&value).into_response();
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
            let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body, serde_json::to_vec(&value).unwrap());
        }
    }

    #[test]
    fn what_cannot_be_json_is_our_mistake() {
        let by_place = BTreeMap::from([((1, 2), "a key that is no text")]);
        assert_eq!(Json(by_place).into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
