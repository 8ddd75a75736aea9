//! The wall clocks of agent and controller are set, a day forth or back: links stay, events arrive once and in order.

use std::path::Path;

use roadstead_tests::{ControllerOptions, Dockerd, ImageOptions, busybox_image, scratch::Scratch, tool};

use crate::disk_faults::{live_and_die, whole_life};
use crate::site::{Dial, Site};

/// The environment of a program whose wall clock is off by what `file` says. Its steady clock goes on as it should.
fn clock(file: &Path) -> [(&'static str, String); 5] {
    let library = tool::find("faketime").and_then(|program| tool::faketime_library(&program));
    [
        ("LD_PRELOAD", library.expect("libfaketime").display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

#[tokio::test]
async fn a_day_forth_or_back_ends_no_link_and_disorders_nothing() {
    let scratch = Scratch::new().unwrap();
    let (agents, controllers) = (scratch.path().join("agent"), scratch.path().join("controller"));
    let set = |agent: &str, controller: &str| {
        std::fs::write(&agents, agent).unwrap();
        std::fs::write(&controllers, controller).unwrap();
    };
    set("+0", "+0");
    let options = clock(&controllers)
        .into_iter()
        .fold(ControllerOptions::default(), |options, (name, value)| options.set(name, value));
    let (mut site, engine) = tokio::join!(Site::start_with(options), Dockerd::start());
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    let member = site
        .join_with(Dial::Outbound, &engine, "host", |options| {
            clock(&agents).into_iter().fold(options, |options, (name, value)| options.set(name, value))
        })
        .await;
    let since = site.instance(&member.id).await["link"]["since"].clone();
    for (number, (agent, controller)) in
        [("+1d", "-1d"), ("-1d", "+1d"), ("+0", "+0")].into_iter().enumerate()
    {
        set(agent, controller);
        // A web session may be over by the new clock, as it should.
        site.api = site.controller.api().await;
        let name = format!("after-{number}");
        live_and_die(&engine, &name).await;
        whole_life(&site, &name).await;
        let after = site.instance(&member.id).await;
        assert_eq!(after["link"]["state"], "live", "agent {agent}, controller {controller}");
        assert_eq!(after["link"]["since"], since, "the same session all the time");
    }
}
