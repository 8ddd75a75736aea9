//! The owner's limits on real parts: what a sync would create is checked before it is, a policy file is read again,
//! and the agent that a controller runs for itself has a policy too.

use roadstead_agent::policy::Rules;
use roadstead_protocol::message::command::{OrderRefusal, Outcome, Strategy, Work};
use roadstead_protocol::message::policy::{Limits, Policy, Verb};
use roadstead_tests::{ControllerOptions, Dockerd, ImageOptions, eventually, tool};
use serde_json::{Value, json};

use crate::site::{Dial, SOON, Site, logged};
use crate::sync::stage::{Stage, summary, sync};

fn limits(limits: Limits) -> Rules {
    Rules::from(Policy { limits, ..Policy::of(Verb::ALL) })
}

fn only(entries: &[&str]) -> Option<Vec<String>> {
    Some(entries.iter().map(|entry| (*entry).to_owned()).collect())
}

fn rule(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused { refusal: OrderRefusal::Policy { verb: Verb::Sync, rule: Some(rule) } } => rule,
        other => panic!("should be refused by a rule: {other:?}"),
    }
}

#[tokio::test]
async fn a_sync_that_would_create_what_is_forbidden_does_not_begin() {
    let stage = Stage::start().await;
    stage.publish("app:1", &ImageOptions::default().with("LABEL generation=2")).await;
    let (before, conf) = (stage.everything().await, stage.folder().join("conf"));
    let registry = stage.registry.address();
    for strategy in [Strategy::Compose, Strategy::Engine] {
        for (forbidden, part) in [
            (
                Limits { host_paths: only(&["/srv"]), ..Limits::default() },
                "conf\", which is not below host-paths /srv",
            ),
            (Limits { host_paths: only(&[]), ..Limits::default() }, "which is not below host-paths (none)"),
            (
                Limits { registries: only(&["docker.io"]), ..Limits::default() },
                "is not from registries docker.io",
            ),
            (Limits { projects: only(&["blog"]), ..Limits::default() }, "is not among projects blog"),
        ] {
            stage.policy.replace(limits(forbidden));
            let (outcome, lines) = stage.run(sync(strategy)).await;
            assert!(rule(&outcome).contains(part), "{strategy:?}: {outcome:?}");
            assert!(lines.is_empty(), "{strategy:?}: {lines:?}");
        }
    }
    // Only the file asks for more; what runs was created without it.
    let file = stage.folder().join("docker-compose.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    let more = text.replace("restart: unless-stopped", "restart: unless-stopped\n    privileged: true");
    let allowed = Limits {
        projects: only(&["sh*"]),
        registries: only(&[&registry]),
        host_paths: only(&[&conf.to_string_lossy()]),
        no_privileged: true,
    };
    stage.policy.replace(limits(allowed));
    std::fs::write(&file, more).unwrap();
    let (outcome, _) = stage.run(sync(Strategy::Compose)).await;
    assert_eq!(rule(&outcome), "privileged is false, and \"web\" has privileged mode");
    assert_eq!(stage.everything().await, before, "nothing was touched");
    std::fs::write(&file, text).unwrap();
    let (outcome, _) = stage.run(sync(Strategy::Compose)).await;
    assert_eq!(summary(&outcome), "updated web; db already current");
    // What runs now is judged by what its engine says of it, and has no more than a plain container has.
    let (outcome, _) = stage.run(sync(Strategy::Engine)).await;
    assert_eq!(summary(&outcome), "already current: nothing changed");
    let image = stage.inspect("shop_web_1").await["Config"]["Image"].as_str().unwrap().to_owned();
    for (name, option, told) in [
        ("bare", "--security-opt=systempaths=unconfined", "system paths of the host without their cover"),
        ("system", "--mount=type=volume,dst=/x,volume-opt=type=sysfs,volume-opt=device=sysfs", "\"sysfs\""),
        (
            "layers",
            "--mount=type=volume,dst=/x,volume-opt=type=overlay,volume-opt=device=overlay,\"volume-opt=o=lowerdir=/etc:/root\"",
            "mounts \"/etc\"",
        ),
    ] {
        stage.host.docker(["create", "--name", name, option, &image]).await;
        let (outcome, _) = stage.run(Work::Reinstall { container: name.to_owned() }).await;
        assert!(matches!(&outcome, Outcome::Refused { .. }), "{name}: {outcome:?}");
        assert!(format!("{outcome:?}").replace('\\', "").contains(told), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_policy_file_is_read_again_on_sighup_and_kept_where_it_is_not_safe() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "allow = ['sync']\nprojects = ['shop']\n").unwrap();
    let set = |options: roadstead_tests::AgentOptions| options.set("ROADSTEAD_POLICY_FILE", file.display());
    let member = site.join_with(Dial::Outbound, &engine, "host", set).await;
    let shown = site.instance(&member.id).await;
    assert_eq!(shown["policy"], json!(["view", "sync"]));
    assert_eq!(shown["policy_limits"], json!({ "projects": ["shop"] }));
    let sync = format!("/api/instances/{}/sync", member.id);
    let id = site.api.sync(&member.id, &json!({ "project": "blog" })).await;
    let refused = site.api.wait_command(&id, SOON).await;
    let rule = refused["outcome"]["refusal"]["rule"].as_str().unwrap_or_default();
    assert!(
        rule.contains("\"blog\" is not among projects shop") && rule.contains("policy.toml line 2"),
        "{refused}"
    );
    let events = site.api.get("/api/events?kind=refused").await.expect_status(200);
    assert_eq!(events["events"][0]["what"]["rule"], rule, "{events}");

    let hang_up = async || {
        let id = member.agent.id().to_string();
        tool::run("kill", ["-s", "HUP", &id]).await.unwrap();
    };
    std::fs::write(&file, "allow = []\nprivileged = false\n").unwrap();
    hang_up().await;
    site.instance_when("the new policy", SOON, &member.id, |it| {
        it["policy_limits"] == json!({ "no_privileged": true })
    })
    .await;
    assert!(site.api.post(&sync, &json!({ "project": "shop" })).await.expect_problem(403).contains("`sync`"));

    tool::run("chmod", ["o+w".as_ref(), file.as_os_str()]).await.unwrap();
    std::fs::write(&file, "allow = ['all']\n").unwrap();
    hang_up().await;
    logged(member.agent.log(), &["kept the old configuration", "chmod go-w"]).await;
    assert_eq!(site.instance(&member.id).await["policy"], json!(["view"]));
}

#[tokio::test]
async fn the_controllers_own_agent_keeps_the_policy_of_its_host() {
    let engine = Dockerd::start().await;
    let options = ControllerOptions { local_agent: "on".to_owned(), ..ControllerOptions::default() };
    let options = options
        .set("DOCKER_HOST", engine.host())
        .set("ROADSTEAD_ALLOW", "view,sync")
        .set("ROADSTEAD_ALLOW_PROJECTS", "shop")
        .set("ROADSTEAD_ALLOW_PRIVILEGED", "false");
    let site = Site::start_with(options).await;
    let this = eventually("this instance", SOON, async || {
        let this = site.api.get("/api/instances").await.expect_status(200)["this_instance"].clone();
        (this["policy"] != Value::Null).then_some(this)
    })
    .await;
    assert_eq!(this["policy"], json!(["view", "sync"]));
    assert_eq!(this["policy_limits"], json!({ "projects": ["shop"], "no_privileged": true }));
}
