//! Agents that reach their controller through a web server which ends TLS: a real one, that times out and restarts.

use std::time::Duration;

use reqwest::header::HeaderMap;
use roadstead_tests::{ControllerOptions, Dockerd, Make, WebServer};
use serde_json::json;

use crate::site::{Dial, SOON, Site, logged};

/// Shorter than anyone's default.
const IDLE: Duration = Duration::from_secs(13);

/// The longest pause of the back-off, and something for the attempt itself.
const BACK: Duration = Duration::from_secs(75);

async fn comes_in_stays_and_comes_back(make: Make) {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let mut server = WebServer::start(make, site.controller.web(), IDLE).await;
    let member = site
        .join_with(Dial::Outbound, &engine, "relayed", |options| {
            options
                .set("ROADSTEAD_CONTROLLER", server.agent_url())
                .set("ROADSTEAD_CA_FILE", server.ca().display())
        })
        .await;
    let before = site.instance(&member.id).await;
    assert_eq!(before["link"]["direction"], "outbound");
    // It outlives the web server's patience with the idle.
    let long =
        |it: &serde_json::Value| it["link"]["age_seconds"].as_f64().unwrap() > IDLE.as_secs_f64() * 1.5;
    let later = site.instance_when("it to be idle for long", SOON, &member.id, long).await;
    assert_eq!(later["link"]["since"], before["link"]["since"], "{}", later["link"]);

    server.restart().await;
    let again = |it: &serde_json::Value| {
        it["link"]["state"] == "live" && it["link"]["since"] != before["link"]["since"]
    };
    site.instance_when("it to come back", BACK, &member.id, again).await;

    // Its secret is replaced as a key is, and counts no longer once it is removed.
    let rotate = format!("/api/instances/{}/rotate-key", member.id);
    site.api.post(&rotate, &json!({})).await.expect_status(202);
    let replaced = |it: &serde_json::Value| it["key"] != before["key"] && it["health"] == "healthy";
    site.instance_when("its new secret", SOON, &member.id, replaced).await;
    site.api.delete(&format!("/api/instances/{}", member.id)).await.expect_status(204);
    logged(member.agent.log(), &["refused", "removed"]).await;
    let log = std::fs::read_to_string(site.controller.log()).unwrap()
        + &std::fs::read_to_string(member.agent.log()).unwrap();
    assert!(!log.contains("rsb_"), "a secret is in a log");
}

#[tokio::test]
async fn an_agent_comes_in_stays_and_comes_back_through_nginx() {
    comes_in_stays_and_comes_back(Make::Nginx).await;
}

#[tokio::test]
async fn an_agent_comes_in_stays_and_comes_back_through_haproxy() {
    comes_in_stays_and_comes_back(Make::Haproxy).await;
}

#[tokio::test]
async fn a_web_server_that_the_agent_cannot_verify_sees_no_secret() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let server = WebServer::start(Make::Nginx, site.controller.web(), IDLE).await;
    let other = WebServer::start(Make::Nginx, site.controller.web(), IDLE).await;
    let token = site.token(Dial::Outbound).await;
    let options = roadstead_tests::AgentOptions::outbound(&engine, &token)
        .set("ROADSTEAD_CONTROLLER", server.agent_url())
        .set("ROADSTEAD_CA_FILE", other.ca().display());
    let agent = roadstead_tests::AgentProcess::start(options).await;
    logged(agent.log(), &["cannot reach the controller", "certificate"]).await;
    assert!(site.api.instances().await.is_empty());
}

#[tokio::test]
async fn only_a_trusted_web_server_says_where_a_request_comes_from() {
    for (trusted, expected) in [("127.0.0.1/32", "127.0.0.2"), ("", "127.0.0.1")] {
        let options = ControllerOptions::default().set("ROADSTEAD_TRUSTED_PROXIES", trusted);
        let site = Site::start_with(options).await;
        let server = WebServer::start(Make::Nginx, site.controller.web(), IDLE).await;
        let from = "127.0.0.2".parse::<std::net::IpAddr>().unwrap();
        let client = reqwest::Client::builder().local_address(from).build().unwrap();
        let mut lies = HeaderMap::new();
        lies.append("x-forwarded-for", "203.0.113.9".parse().unwrap());
        lies.append("x-forwarded-for", "127.0.0.1".parse().unwrap());
        lies.append("x-real-ip", "203.0.113.9".parse().unwrap());
        lies.append("forwarded", "for=203.0.113.9".parse().unwrap());
        // Through the web server, and past it.
        for (root, from) in [(server.plain_url(), expected), (site.controller.url(), "127.0.0.2")] {
            let wrong = json!({ "username": "mallory", "password": "wrong" });
            let request = client.post(format!("{root}/api/login")).headers(lies.clone()).json(&wrong);
            assert_eq!(request.send().await.unwrap().status(), 401);
            let audit = site.api.get("/api/audit").await.expect_status(200);
            assert_eq!(audit["entries"][0]["address"], from, "{}", audit["entries"][0]);
        }
    }
}
