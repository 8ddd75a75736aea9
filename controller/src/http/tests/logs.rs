//! Reading and following a command's log.

use roadstead_protocol::message::command::{Outcome, Standing};
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::progress::{LogStream, Progress, ProgressLine};
use roadstead_protocol::message::time::UnixMicros;
use serde_json::json;

use super::{Agent, Site, container};
use crate::accounts::Role;
use crate::enrolment::InstanceChange;
use crate::http::streams::RECHECK;

struct Running {
    site: Site,
    agent: Agent,
    command: CommandId,
}

async fn running() -> Running {
    let site = Site::open().await;
    let id = site.register("web").await;
    let agent = site.connect(&id, vec![container('a', "web", Some("shop"))]);
    let accepted = site.post(&format!("/api/instances/{id}/sync"), json!({})).await.json();
    let command: CommandId = accepted["command_id"].as_str().unwrap().parse().unwrap();
    let standing = Standing::Running { since: UnixMicros::now() };
    site.services.commands.standing(&id, &agent.handle, command, standing).await;
    Running { site, agent, command }
}

impl Running {
    async fn say(&self, lines: std::ops::Range<u64>) {
        let lines = lines.map(|line| ProgressLine {
            command: self.command,
            line,
            at: UnixMicros::now(),
            entry: Progress::Log { stream: LogStream::Agent, service: None, text: format!("line {line}") },
        });
        self.site.services.commands.progress(&self.agent.id, lines.collect()).await;
    }

    async fn end(&self) {
        let outcome = Outcome::Succeeded { summary: "done".to_owned(), services: Vec::new() };
        let commands = &self.site.services.commands;
        commands.ended(&self.agent.id, self.command, UnixMicros::now(), outcome).await.unwrap();
    }

    fn path(&self) -> String {
        format!("/api/commands/{}/log", self.command)
    }
}

#[tokio::test]
async fn stored_lines_are_paged() {
    let running = running().await;
    running.say(0..5).await;
    let log = running.site.get(&format!("{}?from=1&limit=2", running.path())).await.json();
    assert_eq!(log["lines"][0]["entry"]["text"], "line 1");
    assert_eq!((&log["next_line"], &log["ended"]), (&json!(3), &json!(false)));
    let log = running.site.get(&format!("{}?from=5", running.path())).await.json();
    assert_eq!((&log["next_line"], &log["lines"]), (&json!(5), &json!([])));
}

#[tokio::test]
async fn a_follower_gets_each_line_once_and_the_end() {
    let running = running().await;
    running.say(0..3).await;
    let mut follower = running.site.follow(&running.path(), &[]).await;
    for line in 0..3 {
        let told = follower.next().await.unwrap();
        assert_eq!((told.name.as_str(), told.id), ("line", Some(line)));
    }
    running.say(3..5).await;
    running.say(4..6).await;
    for line in 3..6 {
        let told = follower.next().await.unwrap();
        assert_eq!((told.id, &told.data["entry"]["text"]), (Some(line), &json!(format!("line {line}"))));
    }
    running.end().await;
    let told = follower.next().await.unwrap();
    assert_eq!((told.name.as_str(), &told.data["state"]), ("end", &json!("succeeded")));
    assert!(follower.next().await.is_none());
}

#[tokio::test]
async fn a_follower_that_comes_back_goes_on_where_it_was() {
    let running = running().await;
    running.say(0..4).await;
    let mut follower = running.site.follow(&running.path(), &[("last-event-id", "1")]).await;
    assert_eq!(follower.next().await.unwrap().id, Some(2));
    drop(follower);
    running.end().await;
    let mut late = running.site.follow(&running.path(), &[("last-event-id", "3")]).await;
    assert_eq!(late.next().await.unwrap().name, "end");
    assert!(late.next().await.is_none());
}

#[tokio::test]
async fn a_follower_of_a_log_that_never_rests_ends_with_its_session() {
    let running = running().await;
    let mut follower = running.site.follow(&running.path(), &[]).await;
    running.say(0..1).await;
    assert_eq!(follower.next().await.unwrap().id, Some(0));
    running.site.services.accounts.log_out("token-of-admin").await.unwrap();
    tokio::time::pause();
    let mut line = 1;
    while line < 20 {
        tokio::time::advance(RECHECK / 2).await;
        running.say(line..line + 1).await;
        if follower.next().await.is_none() {
            return;
        }
        line += 1;
    }
    panic!("it follows on without a session");
}

#[tokio::test]
async fn a_follower_ends_when_the_instance_goes_out_of_sight() {
    let running = running().await;
    let tag = async |tags: &[&str]| {
        let tags = Some(tags.iter().map(|tag| (*tag).to_owned()).collect());
        let change = InstanceChange { tags, ..InstanceChange::default() };
        running.site.services.enrolment.change(&running.agent.id, change).await.unwrap();
    };
    tag(&["shop"]).await;
    let cookie = running.site.cookie_of("anna", Role::Viewer, &["shop"]).await;
    let mut follower = running.site.follow_as(&cookie, &running.path(), &[]).await;
    running.say(0..1).await;
    assert_eq!(follower.next().await.unwrap().id, Some(0));
    tag(&["blog"]).await;
    tokio::time::pause();
    tokio::time::advance(RECHECK).await;
    running.say(1..2).await;
    assert!(follower.next().await.is_none());
}

#[tokio::test]
async fn a_follower_ends_with_the_controller() {
    let running = running().await;
    let mut follower = running.site.follow(&running.path(), &[]).await;
    running.site.ending.cancel();
    assert!(follower.next().await.is_none());
}
