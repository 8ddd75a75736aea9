//! The parts that are measured: engines with containers, and a fleet of agents with their controller.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::try_join_all;
use roadstead_tests::{
    AgentOptions, AgentProcess, Api, ControllerOptions, ControllerProcess, Dockerd, ImageOptions, Netns,
    busybox_image, eventually,
};
use serde_json::{Value, json};

use crate::engine_client::ask;

const IMAGE: &str = "bench:1";

/// How long an agent may take to show its whole picture.
const PICTURE_DEADLINE: Duration = Duration::from_secs(60);

/// An engine and how many containers run on it.
#[derive(Debug)]
pub struct Host {
    pub engine: Dockerd,
    pub containers: usize,
}

/// The engines.
#[derive(Debug)]
pub struct Hosts(Vec<Host>);

/// A host with its agent, on a network of its own.
#[derive(Debug)]
pub struct Member {
    pub agent: AgentProcess,
    pub machine: Netns,
    pub instance: String,
    pub host: Host,
}

/// Everything.
#[derive(Debug)]
pub struct Fleet {
    pub members: Vec<Member>,
    pub controller: ControllerProcess,
    pub api: Api,
}

impl Hosts {
    /// Starts an engine for each of `counts`, with so many running containers.
    ///
    /// # Errors
    /// When a container does not start.
    pub async fn start(counts: &[usize]) -> anyhow::Result<Self> {
        let hosts = counts.iter().map(|&containers| async move {
            let engine = Dockerd::start().await;
            busybox_image(&engine, IMAGE, &ImageOptions::default()).await;
            for number in 0..containers {
                let id = create(&engine, &format!("app-{number}")).await?;
                ask(&engine.socket(), "POST", &format!("/containers/{id}/start"), None).await?;
            }
            anyhow::Ok(Host { engine, containers })
        });
        Ok(Self(try_join_all(hosts).await?))
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &Host> {
        self.0.iter()
    }
}

/// Makes a container with the labels and the restart policy that a compose project would give it, and gives its id.
///
/// # Errors
/// When the engine refuses.
pub async fn create(engine: &Dockerd, name: &str) -> anyhow::Result<String> {
    let body = json!({
        "Image": IMAGE,
        "Labels": {
            "com.docker.compose.project": "bench",
            "com.docker.compose.service": name,
            "com.docker.compose.container-number": "1",
            "com.docker.compose.project.working_dir": "/srv/bench",
            "com.docker.compose.project.config_files": "/srv/bench/docker-compose.yml",
            "com.docker.compose.config-hash": "3c0d8e9f1fb0a0d0a8a1f3f6b5a2c7d4e6f8091a2b3c4d5e6f708192a3b4c5d6",
        },
        "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": "unless-stopped" } },
    });
    let answer =
        ask(&engine.socket(), "POST", &format!("/containers/create?name={name}"), Some(&body)).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["Id"].as_str().context("a container without an id")?.to_owned())
}

impl Fleet {
    /// Starts a controller, and an agent for each host; returns when every picture is whole.
    ///
    /// # Errors
    /// None yet: what does not start, panics with its log.
    pub async fn start(hosts: Hosts) -> anyhow::Result<Self> {
        let options = ControllerOptions { agent_listen: "0.0.0.0:0".to_owned(), ..Default::default() };
        let controller = ControllerProcess::start(options).await;
        let api = controller.api().await;
        let mut members = Vec::new();
        for host in hosts.0 {
            let machine = Netns::start().await;
            let name = format!("with-{}", host.containers);
            let (instance, token) = api.register(&json!({ "name": name })).await;
            let address = format!("wss://{}:{}", machine.outside(), controller.agents().port());
            let options = AgentOptions::outbound(&host.engine, &token)
                .on(&machine)
                .set("ROADSTEAD_CONTROLLER", address);
            members.push(Member { agent: AgentProcess::start(options).await, machine, instance, host });
        }
        for member in &members {
            let path = format!("/api/instances/{}", member.instance);
            eventually(&format!("the picture of {path}"), PICTURE_DEADLINE, async || {
                let instance = api.get(&path).await.expect_status(200);
                let whole = instance["containers"]["running"] == member.host.containers;
                (instance["health"] == "healthy" && whole).then_some(())
            })
            .await;
        }
        Ok(Self { members, controller, api })
    }

    /// The host with the most containers.
    pub fn largest(&self) -> Option<&Member> {
        self.members.iter().max_by_key(|member| member.host.containers)
    }

    /// A host with as many containers as many have.
    pub fn middling(&self) -> Option<&Member> {
        self.members.get(self.members.len() / 2)
    }
}
