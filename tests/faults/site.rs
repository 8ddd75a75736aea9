//! A controller that may be away at any moment, asked without taking that amiss.

use std::time::Duration;

use reqwest::Method;
use roadstead_tests::api::text;
use roadstead_tests::{Api, ControllerOptions, ControllerProcess, eventually};
use serde_json::{Value, json};

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Who asks: a client that is signed in.
#[derive(Debug, Clone)]
pub struct Site {
    api: Api,
    origin: String,
}

/// Starts a controller, and signs in.
pub async fn start() -> (ControllerProcess, Site) {
    let controller = ControllerProcess::start(ControllerOptions::default()).await;
    let site = Site { api: controller.api().await, origin: controller.url() };
    (controller, site)
}

impl Site {
    /// The client, for a controller that is there.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// What the controller answers, if it answers well.
    pub async fn ask(&self, path: &str) -> Option<Value> {
        let answer = self.api.request(Method::GET, path).timeout(ANSWER).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    /// Asks for something to be done; the status, if there was an answer.
    pub async fn order(&self, path: &str, body: &Value) -> Option<u16> {
        let request = self.api.request(Method::POST, path).timeout(ANSWER).header("origin", &self.origin);
        request.json(body).send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// A token for an agent that the controller dials.
    pub async fn inbound_token(&self) -> String {
        let made = self.api.post("/api/join-tokens", &json!({ "direction": "inbound" })).await;
        text(&made.expect_status(201), "token")
    }

    /// Waits until the controller answers.
    pub async fn answers(&self, deadline: Duration) {
        eventually("the controller to answer", deadline, async || self.ask("/api/session").await).await;
    }

    /// Whether an instance's link is live, its engine answers and its picture is fresh. A warning of a copied identity,
    /// which stays for ten minutes, is no matter.
    pub async fn is_back(&self, id: &str) -> bool {
        let back = |it: Value| {
            it["link"]["state"] == "live" && it["stale"] == false && it["engine"]["reachable"] == true
        };
        self.ask(&format!("/api/instances/{id}")).await.is_some_and(back)
    }

    /// Since when an instance has its link.
    pub async fn linked_since(&self, id: &str) -> Option<Value> {
        Some(self.ask(&format!("/api/instances/{id}")).await?["link"]["since"].clone())
    }

    /// How many tasks the controller has.
    pub async fn tasks(&self) -> usize {
        let answer = self.api.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        let tasks = answer.lines().find_map(|line| line.strip_prefix("roadstead_tasks ")?.parse().ok());
        tasks.unwrap_or_else(|| panic!("no tasks in {answer}"))
    }

    /// Every page of a list, from the first on, each entry as `read` reads it. The list is under `field`.
    pub async fn pages<T>(&self, path: &str, field: &str, read: impl Fn(&Value) -> T) -> Vec<T> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.api.get(&format!("{path}{cursor}")).await.expect_status(200);
            all.extend(page[field].as_array().unwrap().iter().map(&read));
            cursor = match &page["next"] {
                Value::Null => return all,
                Value::String(next) => format!("&cursor={next}"),
                next => format!("&cursor={next}"),
            };
        }
    }
}
