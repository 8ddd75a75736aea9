//! The audit log through the API: what a command leaves in it, and the whole of it as a file.

use axum::http::{Method, header};
use serde_json::{Value, json};

use super::{Site, container, request};
use crate::accounts::Role;

#[tokio::test]
async fn a_command_is_named_by_who_asked_for_it_and_who_cancelled_it() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let _agent = site.connect(&id, vec![container('a', "web", Some("shop"))]);
    let accepted = site.post(&format!("/api/instances/{id}/sync"), json!({ "project": "shop" })).await.json();
    let command = accepted["command_id"].as_str().unwrap();
    site.send(request(
        Method::DELETE,
        &format!("/api/commands/{command}"),
        &site.cookie(Role::Admin).await,
        None,
    ))
    .await;
    site.post(&format!("/api/instances/{id}/sync"), json!({ "project": "shop" })).await;
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    let told: Vec<_> = (0..3).map(|at| (&entries[at]["result"], &entries[at]["command"])).collect();
    let (ok, refused) = (json!("ok"), json!("refused"));
    let command = json!(command);
    assert_eq!(told, [(&refused, &Value::Null), (&ok, &command), (&ok, &command)], "{entries}");
}

#[tokio::test]
async fn the_whole_log_is_given_out_as_a_chain() {
    let site = Site::open().await;
    site.register("web").await;
    for number in 0..520 {
        site.services.audit.record(entry(&format!("user {number}"))).await;
    }
    let answer = site.get("/api/audit/export").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-ndjson");
    assert_eq!(answer.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"audit.jsonl\"");
    let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // That it was given out is an entry as well.
    assert_eq!((lines.len(), &lines[520]["what"]), (521, &json!("audit.export")));
    assert!(lines.windows(2).all(|pair| pair[1]["previous"] == pair[0]["hash"]));
    let newest = site.get("/api/audit?limit=1").await.json()["entries"][0]["anchor"].clone();
    assert_eq!(newest, format!("521:{}", lines[520]["hash"].as_str().unwrap()));

    let rest = site.get("/api/audit/export?format=csv&after=520").await;
    assert_eq!(rest.text.lines().count(), 3, "{}", rest.text);
    assert!(rest.text.starts_with("id,at,who,"), "{}", rest.text);
    site.get("/api/audit/export?format=pdf").await.problem(400, "malformed");
}

#[tokio::test]
async fn an_export_ends_with_the_session_of_its_reader() {
    let site = Site::open().await;
    site.services.audit.write((0..1100).map(|_| entry("somebody").to_store()).collect()).await;
    site.reads_until_the_session_ends(Role::Admin, "/api/audit/export").await;
}

fn entry(who: &str) -> crate::audit::Entry<'_> {
    let result = crate::audit::AuditResult::Done;
    crate::audit::Entry { who, address: None, what: "login", target: None, result, detail: None }
}
