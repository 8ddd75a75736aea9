//! A client of the HTTP API as a browser or a script uses it: JSON in, JSON out, a cookie between.
//!
//! It does not share the controller's types: a renamed field is a failure here, as it is for users.

mod live;

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::condition::try_eventually;

pub use live::{Live, LiveEvent};

/// How long one request may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// The states that a command never leaves.
const FINAL: [&str; 4] = ["succeeded", "failed", "cancelled", "lost"];

/// A client with a cookie jar.
#[derive(Debug, Clone)]
pub struct Api {
    root: String,
    client: Client,
}

/// What the controller answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type.
    pub content_type: String,
    /// The body; text that is no JSON is a string here.
    pub body: Value,
    request: String,
}

impl Answer {
    /// The body of an answer that has this status.
    ///
    /// # Panics
    /// When it has another.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{} was answered with {}", self.request, self.body);
        self.body
    }

    /// The `detail` of a problem document that has this status.
    ///
    /// # Panics
    /// When it is no problem document, or has another status.
    #[track_caller]
    pub fn expect_problem(self, status: u16) -> String {
        assert_eq!(self.content_type, "application/problem+json", "{}: {}", self.request, self.body);
        let body = self.expect_status(status);
        match body["detail"].as_str() {
            Some(detail) if body["title"].is_string() => detail.to_owned(),
            _ => panic!("a problem document without title or detail: {body}"),
        }
    }
}

impl Api {
    /// A client that is not signed in. `root` is `http://host:port`.
    ///
    /// # Panics
    /// When the HTTP client cannot be made.
    #[must_use]
    pub fn anonymous(root: &str) -> Self {
        match Client::builder().cookie_store(true).no_proxy().build() {
            Ok(client) => Self { root: root.to_owned(), client },
            Err(error) => panic!("no HTTP client: {error}"),
        }
    }

    /// Signs in as the administrator.
    pub async fn login(&self, password: &str) -> Answer {
        self.post("/api/login", &json!({ "password": password })).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// PATCH of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// A request of one's own making, for what the other methods cannot do wrong.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.root))
    }

    /// Every instance.
    ///
    /// # Panics
    /// When the list is refused.
    pub async fn instances(&self) -> Vec<Value> {
        list(self.get("/api/instances").await.expect_status(200), "instances")
    }

    /// The instance of this name, if there is one.
    ///
    /// # Panics
    /// When the list is refused.
    pub async fn instance_named(&self, name: &str) -> Option<Value> {
        self.instances().await.into_iter().find(|instance| instance["name"] == name)
    }

    /// The containers of an instance.
    ///
    /// # Panics
    /// When the list is refused.
    pub async fn containers(&self, instance: &str) -> Vec<Value> {
        let path = format!("/api/instances/{instance}/containers");
        list(self.get(&path).await.expect_status(200), "containers")
    }

    /// Registers an instance and gives its id and its join token.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn register(&self, body: &Value) -> (String, String) {
        let answer = self.post("/api/instances", body).await.expect_status(201);
        let instance = answer.get("instance").unwrap_or(&answer);
        (text(instance, "id"), text(&answer["join"], "token"))
    }

    /// Starts a sync of a compose project and gives the command's id.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn sync(&self, instance: &str, body: &Value) -> String {
        let answer = self.post(&format!("/api/instances/{instance}/sync"), body).await;
        text(&answer.expect_status(202), "command_id")
    }

    /// Waits until a command has ended, and gives it.
    ///
    /// # Panics
    /// When it has not ended by then; the message holds the command as it is.
    pub async fn wait_command(&self, id: &str, deadline: Duration) -> Value {
        let path = format!("/api/commands/{id}");
        let ended = try_eventually(deadline, async || {
            let command = self.get(&path).await.expect_status(200);
            match command["state"].as_str() {
                Some(state) if FINAL.contains(&state) => Ok(command),
                _ => Err(command),
            }
        });
        match ended.await {
            Ok(command) => command,
            Err(last) => panic!("the command did not end in {deadline:?}: {last:?}"),
        }
    }

    /// The stream of `/api/live`, from now on.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn live(&self) -> Live {
        self.stream("/api/live").await
    }

    /// The server-sent events of `path`, from now on.
    ///
    /// # Panics
    /// When they are refused.
    pub async fn stream(&self, path: &str) -> Live {
        let request = self.request(Method::GET, path).header("accept", "text/event-stream");
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => panic!("no stream of {path}: {error}"),
        };
        assert_eq!(response.status(), StatusCode::OK, "the stream of {path} is refused");
        Live::new(response)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = format!("{method} {path}");
        // What a browser sends with every request that changes something.
        let mut builder = self.request(method, path).timeout(REQUEST_DEADLINE).header("origin", &self.root);
        if let Some(body) = body {
            builder = builder.json(body);
        }
        match builder.send().await {
            Ok(response) => answer(request, response).await,
            Err(error) => panic!("{request}: {error:?}"),
        }
    }
}

/// Reads a response whole.
///
/// # Panics
/// When it ends too early.
pub async fn answer(request: String, response: reqwest::Response) -> Answer {
    let status = response.status();
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let text = match response.text().await {
        Ok(text) => text,
        Err(error) => panic!("{request}: {error:?}"),
    };
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, content_type, body, request }
}

/// The text in a field of an answer.
///
/// # Panics
/// When it is not there.
#[track_caller]
#[must_use]
pub fn text(value: &Value, field: &str) -> String {
    match value[field].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("no text in {field:?} of {value}"),
    }
}

#[track_caller]
fn list(mut value: Value, field: &str) -> Vec<Value> {
    match value[field].take() {
        Value::Array(items) => items,
        other => panic!("no list in {field:?}: {other}"),
    }
}
