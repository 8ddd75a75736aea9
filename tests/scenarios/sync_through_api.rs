//! Sync as people do it: asked for through the API, followed as it runs, told honestly.

use std::time::Duration;

use roadstead_protocol::message::command::Strategy;
use roadstead_tests::{Api, ImageOptions, eventually};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::site::{BOTH, Dial, Member, SOON, Site};
use crate::sync::stage::Stage;

const STRATEGIES: [(Strategy, &str); 2] = [(Strategy::Compose, "compose"), (Strategy::Engine, "engine")];

/// Within which a sync has to be over.
const SYNC: Duration = Duration::from_secs(90);

/// A site with one host, on which the compose project `shop` runs.
struct Shop {
    site: Site,
    stage: Stage,
    member: Member,
}

impl Shop {
    async fn open(dial: Dial) -> Self {
        let (site, stage) = tokio::join!(Site::start(), Stage::start());
        let member = site.join(dial, &stage.host, "host").await;
        site.instance_when("its containers to show", SOON, &member.id, |it| it["containers"]["running"] == 2)
            .await;
        Self { site, stage, member }
    }

    fn api(&self) -> &Api {
        &self.site.api
    }

    fn path(&self) -> String {
        format!("/api/instances/{}/sync", self.member.id)
    }

    /// Starts a sync of the project.
    async fn sync(&self, strategy: &str) -> String {
        self.api().sync(&self.member.id, &json!({ "project": "shop", "strategy": strategy })).await
    }

    /// Syncs, and gives the command as it ended and the log as it came while it ran.
    async fn synced(&self, strategy: &str) -> (Value, Vec<Value>) {
        let id = self.sync(strategy).await;
        self.followed(&id).await
    }

    /// Follows a command's log to its end.
    async fn followed(&self, id: &str) -> (Value, Vec<Value>) {
        let mut stream = self.api().stream(&format!("/api/commands/{id}/log")).await;
        let mut lines = Vec::new();
        let end = stream.until("the command's end", SYNC, |event| match event.name.as_str() {
            "end" => Some(event.data.clone()),
            _ => {
                lines.push(event.data.clone());
                None
            }
        });
        (end.await, lines)
    }

    /// The log as it is stored.
    async fn stored(&self, id: &str) -> Vec<Value> {
        let answer = self.api().get(&format!("/api/commands/{id}/log")).await.expect_status(200);
        assert_eq!(answer["ended"], true);
        answer["lines"].as_array().unwrap().clone()
    }
}

/// What came of a service.
fn service<'a>(command: &'a Value, name: &str) -> &'a Value {
    let services = command["outcome"]["services"].as_array().unwrap_or_else(|| panic!("{command}"));
    services.iter().find(|service| service["service"] == name).unwrap_or_else(|| panic!("{command}"))
}

/// The most bytes that a line said were downloaded of one layer.
fn downloaded(lines: &[Value]) -> u64 {
    let layers = lines.iter().map(|line| &line["entry"]).filter(|entry| entry["progress"] == "layer");
    let counted = layers.filter(|entry| entry["total_bytes"].is_u64());
    counted.filter_map(|entry| entry["done_bytes"].as_u64()).max().unwrap_or(0)
}

fn newer() -> ImageOptions {
    ImageOptions::default().with("LABEL generation=2").layer(8 << 20)
}

#[tokio::test]
async fn a_changed_image_is_synced_with_a_log_that_is_the_same_live_and_replayed() {
    for ((_, strategy), dial) in STRATEGIES.into_iter().zip(BOTH) {
        let mut shop = Shop::open(dial).await;
        let before = shop.stage.inspect("shop_web_1").await;
        let configuration = shop.stage.configuration("shop_web_1").await;
        shop.stage.publish("app:1", &newer()).await;

        let (command, lines) = shop.synced(strategy).await;
        assert_eq!(command["state"], "succeeded", "{command}");
        let now = shop.stage.inspect("shop_web_1").await;
        let (web, db) = (service(&command, "web"), service(&command, "db"));
        assert_eq!(
            (&web["result"], &web["before"], &web["after"]),
            (&json!("updated"), &before["Image"], &now["Image"])
        );
        assert_ne!(now["Image"], before["Image"]);
        assert_eq!(db["result"], "already_current");
        assert_eq!(lines[0]["entry"]["progress"], "plan", "the strategy is visible before anything changes");
        assert_eq!(lines[0]["entry"]["strategy"], strategy);
        assert!(downloaded(&lines) > 1 << 20, "{strategy}: real byte counts of an 8 MiB layer");
        assert!(lines.iter().enumerate().all(|(number, line)| line["line"] == number));
        for ((what, before), (_, mut after)) in
            configuration.into_iter().zip(shop.stage.configuration("shop_web_1").await)
        {
            if what == "labels" {
                after.as_object_mut().unwrap().remove("generation");
            }
            assert_eq!(before, after, "{strategy}: {what} is preserved");
        }

        // The picture has followed.
        let id = command["id"].as_str().unwrap();
        eventually("the picture to show the new image", SOON, async || {
            let list = shop.api().containers(&shop.member.id).await;
            list.iter().any(|it| it["name"] == "shop_web_1" && it["image_id"] == now["Image"]).then_some(())
        })
        .await;
        assert_eq!(shop.stored(id).await, lines);
        let (again, replayed) = shop.followed(id).await;
        assert_eq!((&again["outcome"], &replayed), (&command["outcome"], &lines));
        shop.site.controller.kill().await;
        shop.site.controller.start_again().await;
        shop.site.api = shop.site.controller.api().await;
        assert_eq!(shop.stored(id).await, lines, "a restart of the controller loses nothing");

        // What is current is called so, and nothing is touched.
        shop.site.healthy(&shop.member.id).await;
        let everything = shop.stage.everything().await;
        let (command, _) = shop.synced(strategy).await;
        assert_eq!(command["state"], "succeeded");
        for name in ["web", "db"] {
            assert_eq!(service(&command, name)["result"], "already_current");
        }
        assert_eq!(shop.stage.everything().await, everything);
    }
}

#[tokio::test]
async fn an_image_that_does_not_come_up_fails_with_its_service_its_reason_and_its_last_lines() {
    let shop = Shop::open(Dial::Outbound).await;
    let before = shop.stage.everything().await;
    shop.stage.publish("app:1", &ImageOptions::running("echo cannot read settings >&2; exit 3")).await;
    for (result, strategy) in [("rolled_back", "engine"), ("failed", "compose")] {
        let (command, lines) = shop.synced(strategy).await;
        assert_eq!(command["state"], "failed", "{command}");
        let reason = command["outcome"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("web: "), "{reason}");
        let web = service(&command, "web");
        assert_eq!(web["result"], result, "{web}");
        assert!(web["log_tail"].to_string().contains("cannot read settings"), "{web}");
        assert!(lines.iter().any(|line| line["entry"]["state"] == "failed"), "the log has the failing step");
        if strategy == "engine" {
            assert_eq!(web["after"], web["before"]);
            assert_eq!(shop.stage.everything().await, before, "what was there before runs again");
        }
    }
}

#[tokio::test]
async fn a_second_sync_is_refused_with_the_first_ones_id_and_the_first_can_be_cancelled() {
    for (_, strategy) in STRATEGIES {
        let mut shop = Shop::open(Dial::Outbound).await;
        let before = shop.stage.everything().await;
        let address = shop.stage.registry.address();
        shop.stage.registry.stop().await;
        // A registry that takes connections and says nothing holds the pull.
        let silent = TcpListener::bind(&address).await.unwrap();
        let first = shop.sync(strategy).await;
        let held = silent.accept().await.unwrap();
        let answer = shop.api().post(&shop.path(), &json!({ "project": "shop" })).await;
        assert_eq!(answer.body["running"], first.as_str(), "{}", answer.body);
        let detail = answer.expect_problem(409);
        assert!(detail.contains(&first) && detail.contains("cancel"), "{detail}");

        shop.api().delete(&format!("/api/commands/{first}")).await.expect_status(202);
        let command = shop.api().wait_command(&first, SOON).await;
        assert_eq!(command["state"], "cancelled", "{command}");
        assert_eq!(shop.stage.everything().await, before);
        let detail = shop.api().delete(&format!("/api/commands/{first}")).await.expect_problem(409);
        assert!(detail.contains("ended already"), "{detail}");
        drop(held);
    }
}

#[tokio::test]
async fn a_sync_outlives_its_controller_and_its_link() {
    for dial in BOTH {
        let mut shop = Shop::open(dial).await;
        // Well only when told to be: so that the test decides when the sync ends.
        let check =
            "HEALTHCHECK --interval=1s --start-period=300s CMD [\"/bin/test\", \"-e\", \"/data/well\"]";
        shop.stage.publish("app:1", &ImageOptions::default().with(check)).await;
        let before = shop.stage.inspect("shop_web_1").await["Id"].clone();
        let id = shop.sync("engine").await;
        eventually("the new container to run", SOON, async || {
            let output = shop.stage.host.docker_output(["inspect", "shop_web_1"]).await;
            let found: Value = serde_json::from_slice(&output.stdout).ok()?;
            (found[0]["Id"] != before && found[0]["State"]["Running"] == true).then_some(())
        })
        .await;
        shop.site.controller.kill().await;
        shop.site.controller.start_again().await;
        shop.site.api = shop.site.controller.api().await;
        shop.site.healthy(&shop.member.id).await;
        let running = shop.api().get(&format!("/api/commands/{id}")).await.expect_status(200);
        assert_eq!(running["state"], "running", "{running}");
        shop.stage.exec("shop_web_1", "touch /data/well").await;
        let (command, lines) = shop.followed(&id).await;
        assert_eq!(command["state"], "succeeded", "{dial:?}: {command}");
        assert_eq!(service(&command, "web")["result"], "updated");
        assert!(lines.iter().enumerate().all(|(number, line)| line["line"] == number), "no line is missing");
        assert_eq!(shop.stored(&id).await, lines);
    }
}

#[tokio::test]
async fn a_sync_that_its_agent_forgot_is_called_lost_and_the_next_one_mends_it() {
    let mut shop = Shop::open(Dial::Outbound).await;
    let slow = "HEALTHCHECK --interval=1s --start-period=300s CMD [\"/bin/false\"]";
    let before = shop.stage.inspect("shop_web_1").await;
    shop.stage.publish("app:1", &ImageOptions::default().with(slow)).await;
    let id = shop.sync("engine").await;
    eventually("the new container to run", SOON, async || {
        let output = shop.stage.host.docker_output(["inspect", "shop_web_1"]).await;
        let found: Value = serde_json::from_slice(&output.stdout).ok()?;
        (found[0]["Id"] != before["Id"] && found[0]["State"]["Running"] == true).then_some(())
    })
    .await;
    // What it remembers of its commands is gone: otherwise it would take the sync up again.
    shop.member.agent.kill().await;
    std::fs::remove_dir_all(shop.member.agent.data().join("commands")).unwrap();
    shop.member.agent.start_again().await;
    let command = shop.api().wait_command(&id, SYNC).await;
    assert_eq!(command["state"], "lost", "{command}");
    assert!(command["reason"].as_str().unwrap().contains("the agent restarted"), "{command}");

    // The next sync mends what the interrupted one left.
    shop.site.healthy(&shop.member.id).await;
    shop.stage.publish("app:1", &newer()).await;
    let body = json!({ "project": "shop", "strategy": "engine", "verify_secs": 5 });
    let id = shop.api().sync(&shop.member.id, &body).await;
    let command = shop.api().wait_command(&id, SYNC).await;
    assert_eq!(command["state"], "succeeded", "{command}");
    let everything = shop.stage.everything().await;
    assert_eq!(everything.len(), 2, "{everything:?}");
    assert_eq!(shop.stage.inspect("shop_web_1").await["Config"]["Labels"]["generation"], "2");
}

#[tokio::test]
async fn what_waits_for_an_absent_agent_runs_when_it_is_back() {
    let mut shop = Shop::open(Dial::Outbound).await;
    shop.stage.publish("app:1", &newer()).await;
    shop.member.agent.kill().await;
    shop.site.link_is("lost", SOON, &shop.member.id).await;
    let detail = shop.api().post(&shop.path(), &json!({ "project": "shop" })).await.expect_problem(409);
    assert!(detail.contains("not connected") && detail.contains("queue_for"), "{detail}");
    let id = shop.api().sync(&shop.member.id, &json!({ "project": "shop", "queue_for": "1h" })).await;
    let waiting = shop.api().get(&format!("/api/commands/{id}")).await.expect_status(200);
    assert_eq!(waiting["state"], "issued");
    shop.member.agent.start_again().await;
    let command = shop.api().wait_command(&id, SYNC).await;
    assert_eq!(command["state"], "succeeded", "{command}");
    assert_eq!(service(&command, "web")["result"], "updated");
}

#[tokio::test]
async fn what_its_owner_does_not_allow_is_refused_by_name() {
    let (site, stage) = tokio::join!(Site::start(), Stage::start());
    let view = |options: roadstead_tests::AgentOptions| options.set("ROADSTEAD_ALLOW", "view");
    let member = site.join_with(Dial::Outbound, &stage.host, "host", view).await;
    let before = stage.everything().await;
    let answer =
        site.api.post(&format!("/api/instances/{}/sync", member.id), &json!({ "project": "shop" })).await;
    assert_eq!(answer.body["verb"], "sync", "{}", answer.body);
    let detail = answer.expect_problem(403);
    assert!(detail.contains("`sync`") && detail.contains("ROADSTEAD_ALLOW"), "{detail}");
    site.instance_when("its containers to show", SOON, &member.id, |it| it["containers"]["running"] == 2)
        .await;
    let stop = format!("/api/instances/{}/containers/shop_web_1/stop", member.id);
    let detail = site.api.post(&stop, &json!({})).await.expect_problem(403);
    assert!(detail.contains("`lifecycle`"), "{detail}");
    assert_eq!(site.instance(&member.id).await["policy"], json!(["view"]));
    assert_eq!(stage.everything().await, before);
}
