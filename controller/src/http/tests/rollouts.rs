//! Syncs of many hosts over the API.

use super::*;

const SHOP: &str = "shop";

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let site = Site::open().await;
    let near = site.register("near").await;
    let far = site.register("far").await;
    let mut agent = site.connect(&near, vec![container('a', "web", Some(SHOP))]);
    let body = json!({ "instances": [near.as_str(), far.as_str()], "dry_run": true });
    let answer = site.post("/api/rollouts", body).await;
    assert_eq!(answer.status, 200);
    let plan = answer.json();
    assert_eq!(plan["steps"][0]["project"], SHOP);
    assert_eq!(plan["steps"][0]["strategies"], json!(["engine"]));
    assert_eq!(plan["steps"][0]["services"][0]["service"], "web");
    assert_eq!(plan["steps"][0]["services"][0]["image_id"], "sha256:0123");
    assert_eq!(plan["steps"][1]["state"], "skipped");
    assert_eq!(plan["steps"][1]["obstacle"], "the agent is not connected");
    assert!(agent.messages.try_recv().is_none());
    assert_eq!(site.get("/api/rollouts").await.json()["rollouts"], json!([]));
}

#[tokio::test]
async fn a_rollout_is_begun_told_live_and_stopped() {
    let site = Site::open().await;
    let one = site.register("one").await;
    let _agent = site.connect(&one, vec![container('a', "web", Some(SHOP))]);
    let mut live = site.follow("/api/live", &[]).await;
    live.next_named("view").await;
    let answer = site.post("/api/rollouts", json!({ "filter": {}, "project": SHOP, "batch_size": 3 })).await;
    assert_eq!(answer.status, 202);
    let begun = answer.json();
    let path = format!("/api/rollouts/{}", begun["id"].as_str().unwrap());
    assert_eq!(answer.headers[header::LOCATION], path);
    assert_eq!((begun["state"].clone(), begun["counts"]["total"].clone()), (json!("running"), json!(1)));
    let told = live.next_named("rollout").await;
    assert_eq!(told["rollout"]["id"], begun["id"]);
    assert_eq!(told["steps"][0]["name"], "one");
    let cookie = site.cookie(Role::Operator).await;
    let stopped = site.send(request(Method::DELETE, &path, &cookie, None)).await;
    assert_eq!(stopped.status, 202);
    assert_eq!(stopped.json()["state"], "stopped");
    let again = site.send(request(Method::DELETE, &path, &cookie, None)).await;
    again.problem(409, "rollout-ended");
    let kept = site.get(&path).await.json();
    assert_eq!(kept["steps"][0]["reason"], "not begun, because operator stopped the rollout");
    assert_eq!(site.get("/api/audit").await.json()["entries"][1]["what"], "rollout.stop");
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words() {
    let site = Site::open().await;
    let one = site.register("one").await;
    let _agent = site.connect(&one, vec![container('a', "web", Some(SHOP))]);
    for (body, word) in [
        (json!({}), "instances"),
        (json!({ "instances": ["one"], "filter": {} }), "instances"),
        (json!({ "filter": {}, "batch_size": 0 }), "batch_size"),
        (json!({ "filter": {}, "queue_for": "30d" }), "queue_for"),
        (json!({ "filter": {}, "verify_secs": 0 }), "verify_secs"),
        (json!({ "filter": {}, "strategy": "magic" }), "strategies"),
        (json!({ "filter": {}, "project": "blog" }), "blog"),
        (json!({ "filter": { "environment": "nowhere" } }), "compose project"),
    ] {
        let answer = site.post("/api/rollouts", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        assert!(answer.text.contains(word), "{body}: {}", answer.text);
    }
    let missing = "/api/rollouts/00000000-0000-7000-8000-000000000000";
    site.get(missing).await.problem(404, "unknown-rollout");
    site.get("/api/rollouts/nonsense").await.problem(400, "malformed");
}
