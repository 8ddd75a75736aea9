//! Secrets stay where they belong: whatever is logged at the most talkative level, stored or answered is searched for
//! seeds that the scenario sowed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadstead_protocol::join_token::JoinToken;
use roadstead_tests::api::text;
use roadstead_tests::images::push_image;
use roadstead_tests::processes::PASSWORD as LOGIN;
use roadstead_tests::registry::{PASSWORD, USER};
use roadstead_tests::{Api, ControllerOptions, Dockerd, ImageOptions, Registry, eventually};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::site::{Dial, SOON, Site};
use provider::Provider;

mod provider;

/// Values of a container's environment, labels and command that nobody but its host may see.
const ENVIRONMENT: &str = "seed-environment-4711";
const LABEL: &str = "seed-label-0815";
const ARGUMENT: &str = "seed-argument-1234";
const URL: &str = "seed-url-5678";
const WRONG: &str = "seed-wrong-password-3456";
const INSTALLED: &str = "seed-installed-9012";
const WRONG_TOKEN: &str = "rst_seed-wrong-token-2345";
const MISPLACED: &str = "seed-misplaced-password-6789";
const DECLARED: &str = "seed-declared-agent-secret-1357-2468-";

/// A value that nothing tells to be secret: whoever may look at its container sees it, and nobody sees it elsewhere.
const PLAIN: &str = "seed-plain-7890";

/// Everything under a folder that is a file.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn holds(bytes: &[u8], seed: &[u8]) -> bool {
    bytes.windows(seed.len()).any(|part| part == seed)
}

/// Which of `seeds` is in the file.
fn found_in(path: &Path, seeds: &[Seed]) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let hits = seeds.iter().filter(|(_, seed)| holds(&bytes, seed));
    hits.map(|(name, _)| format!("{name} in {}", path.display())).collect()
}

#[tokio::test]
async fn no_secret_is_logged_stored_or_answered() {
    let (maker, engine, mut registry) = tokio::join!(Dockerd::start(), Dockerd::start(), Registry::start());
    push_image(&maker, &registry, "app:1", &ImageOptions::default()).await;
    registry.require_login().await;
    roadstead_tests::busybox_image(&engine, "local:1", &ImageOptions::default()).await;
    run_with_secrets(&engine).await;
    let declared = tempfile::tempdir().unwrap();
    let (config, secret) = (declared.path().join("controller.toml"), declared.path().join("rack.secret"));
    std::fs::write(&secret, DECLARED).unwrap();
    let provider = Provider::start().await;
    let agents = format!("[[agents]]\nname = 'rack'\nsecret-file = '{}'\n", secret.display());
    std::fs::write(&config, provider.settings(declared.path()) + &agents).unwrap();
    let options = ControllerOptions::default().set("ROADSTEAD_LOG", "trace");
    let mut site = Site::start_with(options.set("ROADSTEAD_CONFIG", config.display())).await;
    let logins = tempfile::tempdir().unwrap();
    let member = site
        .join_with(Dial::Outbound, &engine, "host", |options| {
            options
                .set("ROADSTEAD_ALLOW", "view,logs,stats,sync,lifecycle,deploy,remove")
                .set("ROADSTEAD_LOG", "trace")
                .set("DOCKER_CONFIG", logins.path().display())
        })
        .await;
    let login = site.api.login(LOGIN).await;
    login.expect_status(200);
    site.api.login(WRONG).await.expect_problem(401);

    sow(&site, &member.id, &registry, logins.path()).await;

    let join = member.agent.options.join.clone().unwrap();
    let mut answers = misuse(&site).await;
    let everywhere = of_everybody(join, cookie(&site).await);
    let signing_in = provider.sign_in(&site.controller.url(), &mut answers).await;
    let all = [everywhere, of_programs(&site, &mut answers).await, signing_in, of_containers()].concat();

    answers.extend(self::answers(&site, &member.id).await);
    answers.extend(printed(&site).await);
    let details = &answers.iter().find(|(path, _)| path.ends_with("/containers/shop_web_1")).unwrap().1;
    assert!(
        details.contains("DB_PASSWORD") && details.contains("api.token"),
        "it is there without its value"
    );
    let mut found: Vec<_> = answers
        .iter()
        .flat_map(|(path, body)| {
            let hits = all.iter().filter(|(_, seed)| holds(body.as_bytes(), seed));
            hits.map(move |(name, _)| format!("{name} in the answer to {path}"))
        })
        .collect();
    let logs = [
        (site.controller.log(), "/install\" status=202", "Server handshake done"),
        (member.agent.log(), "orders a command", "Client handshake done"),
    ];
    for (log, own, library) in logs {
        let said = std::fs::read_to_string(log).unwrap();
        let debug: Vec<_> = said.lines().filter(|line| line.contains(" DEBUG ")).collect();
        let says = |words: &str| debug.iter().any(|line| line.contains(words));
        assert!(debug.len() >= 10 && says(own) && says(library), "it was not talkative: {said}");
        found.extend(found_in(log, &all));
    }
    // While it runs, what was replaced may still be in the write-ahead log.
    assert!(site.controller.stop().await.success());
    for file in [files(&site.controller.data()), files(&member.agent.data())].concat() {
        found.extend(found_in(&file, &all));
    }
    let shown = format!("a plain variable in the answer to /api/instances/{}/containers/app", member.id);
    assert_eq!(found, [shown]);
}

/// A container whose environment, labels and arguments hold secrets.
async fn run_with_secrets(engine: &Dockerd) {
    let project = |name: &str| format!("com.docker.compose.{name}");
    let run = [
        "run",
        "--detach",
        "--name",
        "shop_web_1",
        "--env",
        &format!("DB_PASSWORD={ENVIRONMENT}"),
        "--env",
        &format!("CACHE=redis://user:{URL}@cache:6379/0"),
        "--label",
        &format!("api.token={LABEL}"),
        "--label",
        &format!("{}=shop", project("project")),
        "--label",
        &format!("{}=web", project("service")),
        "local:1",
        "sh",
        "-c",
        "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done",
        "--password",
        ARGUMENT,
    ]
    .map(str::to_owned);
    engine.docker(run).await;
}

/// Commands that carry secrets, some of which fail.
async fn sow(site: &Site, instance: &str, registry: &Registry, logins: &Path) {
    let command = async |path: &str, body: &Value| {
        let answer = site.api.post(&format!("/api/instances/{instance}/{path}"), body).await;
        let id = text(&answer.expect_status(202), "command_id");
        site.api.wait_command(&id, SOON).await
    };
    let image = registry.image("app:1");
    let install = json!({ "name": "app", "image": image, "network": "none",
        "env": { "API_TOKEN": INSTALLED, "PLAIN": PLAIN }, "labels": { "app.secret": LABEL } });
    assert_eq!(command("install", &install).await["state"], "failed", "nobody has logged in yet");
    let config = json!({ "auths": { registry.address(): { "auth": registry_login() } } });
    std::fs::write(logins.join("config.json"), config.to_string()).unwrap();
    assert_eq!(command("install", &install).await["state"], "succeeded");
    assert_eq!(
        command("sync", &json!({ "project": "shop", "strategy": "engine" })).await["state"],
        "succeeded"
    );
    assert_eq!(command("sync", &json!({ "project": "shop", "strategy": "script" })).await["state"], "failed");
    assert_eq!(command("reinstall", &json!({ "container": "app" })).await["state"], "succeeded");
    let named = async || site.api.containers(instance).await.into_iter().find(|it| it["name"] == "app");
    eventually("the new container in the picture", SOON, named).await;
}

fn registry_login() -> String {
    STANDARD.encode(format!("{USER}:{PASSWORD}"))
}

type Seed = (&'static str, Vec<u8>);

/// Secrets in places where they do not belong, and what is answered.
async fn misuse(site: &Site) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for body in [
        json!({ "password": [MISPLACED] }),
        json!({ "passwort": MISPLACED }),
        json!({ "password": WRONG, "code": { "code": MISPLACED } }),
        json!({ "username": MISPLACED, "password": WRONG, "more": MISPLACED }),
        json!({ "username": MISPLACED, "password": WRONG }),
    ] {
        let answer = site.api.post("/api/login", &body).await;
        assert!(answer.status.is_client_error(), "{body}");
        answers.push((format!("POST /api/login {body}"), answer.body.to_string()));
    }
    for (name, value) in [
        ("authorization", format!("Bearer {WRONG_TOKEN}")),
        ("authorization", format!("Basic {MISPLACED}")),
        ("cookie", format!("roadstead_session={MISPLACED}")),
    ] {
        let client = Api::anonymous(&site.controller.url());
        let path = format!("/api/instances?token={MISPLACED}");
        let answer = client.request(reqwest::Method::GET, &path).header(name, value).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
        answers.push((format!("{name} of no use"), answer.text().await.unwrap()));
    }
    answers
}

/// Secrets that were made for programs and people: told once, and nowhere after that.
async fn of_programs(site: &Site, answers: &mut Vec<(String, String)>) -> Vec<Seed> {
    let token = json!({ "name": "script", "scope": "admin" });
    let token = text(&site.api.post("/api/tokens", &token).await.expect_status(201), "secret");
    let person = json!({ "name": "anna", "role": "operator" });
    let password = text(&site.api.post("/api/users", &person).await.expect_status(201), "password");
    let anna = Api::anonymous(&site.controller.url());
    let login = json!({ "username": "anna", "password": password });
    anna.post("/api/login", &login).await.expect_status(200);
    let pending = anna.post("/api/account/second-factor", &json!({ "password": password })).await;
    let factor = text(&pending.expect_status(201), "secret");
    let bearer = anna.request(reqwest::Method::GET, "/api/users").bearer_auth(&token).send().await.unwrap();
    assert_eq!(bearer.status().as_u16(), 200);
    answers.push(("GET /api/users with a token".to_owned(), bearer.text().await.unwrap()));
    answers.push(("GET /api/account of anna".to_owned(), anna.get("/api/account").await.body.to_string()));
    vec![
        ("an API token", token.into_bytes()),
        ("a wrong API token", WRONG_TOKEN.as_bytes().to_vec()),
        ("a password that was made", password.into_bytes()),
        ("a second factor", factor.into_bytes()),
        ("a misplaced password", MISPLACED.as_bytes().to_vec()),
        ("a declared agent's secret", DECLARED.as_bytes().to_vec()),
    ]
}

/// What the program's own commands print.
async fn printed(site: &Site) -> Vec<(String, String)> {
    let mut printed = Vec::new();
    for command in [&["join-tokens"][..], &["users", "list"], &["audit", "export"], &["audit", "verify"]] {
        printed.push((command.join(" "), site.controller.command(command).await));
    }
    printed
}

/// Secrets of people and programs: nowhere at all.
fn of_everybody(join: String, cookie: String) -> Vec<Seed> {
    let proof = join.parse::<JoinToken>().unwrap().proof();
    vec![
        ("the join token", join.into_bytes()),
        ("the join token's secret", proof.secret.to_vec()),
        ("the password", LOGIN.as_bytes().to_vec()),
        ("a wrong password", WRONG.as_bytes().to_vec()),
        ("the registry's password", PASSWORD.as_bytes().to_vec()),
        ("the registry's login", registry_login().into_bytes()),
        ("the session's cookie", cookie.into_bytes()),
    ]
}

/// Secrets of containers: not beyond their host.
fn of_containers() -> Vec<Seed> {
    let seeds = [
        ("a variable", ENVIRONMENT),
        ("a label", LABEL),
        ("an argument", ARGUMENT),
        ("a URL's password", URL),
        ("an installed variable", INSTALLED),
        ("a plain variable", PLAIN),
    ];
    seeds.map(|(name, seed)| (name, seed.as_bytes().to_vec())).to_vec()
}

/// The cookie that the client was given.
async fn cookie(site: &Site) -> String {
    let body = json!({ "password": LOGIN });
    let request =
        site.api.request(reqwest::Method::POST, "/api/login").header("origin", site.controller.url());
    let answer = request.json(&body).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let (_, rest) = cookie.split_once('=').unwrap();
    let value = rest.split(';').next().unwrap().to_owned();
    assert!(value.len() > 20, "{cookie}");
    value
}

/// Every answer that the API's own description promises to whoever reads.
async fn answers(site: &Site, instance: &str) -> Vec<(String, String)> {
    let commands = site.api.get("/api/commands").await.expect_status(200);
    let commands: Vec<_> =
        commands["commands"].as_array().unwrap().iter().map(|command| text(command, "id")).collect();
    assert!(commands.len() >= 5);
    let rollout = json!({ "instances": [instance], "project": "shop" });
    let rollout = text(&site.api.post("/api/rollouts", &rollout).await.expect_status(202), "id");
    let described = site.api.get("/api/openapi.json").await.expect_status(200);
    let mut paths = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        let ids = match path.split('/').nth(2) {
            Some("commands") => commands.clone(),
            Some("rollouts") => vec![rollout.clone()],
            _ => vec![instance.to_owned()],
        };
        if methods.get("get").is_none() || path == "/" || path == "/api/live" {
            continue;
        }
        for id in if path.contains("{id}") { ids } else { vec![String::new()] } {
            let path = path.replace("{id}", &id).replace("{name}", "admin");
            for container in if path.contains("{container}") { &["shop_web_1", "app"][..] } else { &[""] } {
                paths.push(path.replace("{container}", container));
            }
        }
    }
    assert!(paths.len() > 30, "{paths:?}");
    paths.push("/api/tokens?all=true".to_owned());
    let mut answers = Vec::new();
    for path in paths {
        let answer = site.api.request(reqwest::Method::GET, &path).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {body}");
        answers.push((path, body));
    }
    for path in ["/api/live", "/api/live?containers=apart"] {
        let mut live = site.api.stream(path).await;
        for _ in 0..3 {
            let Ok(event) = timeout(Duration::from_secs(2), live.next()).await else { break };
            answers.push((format!("{path}, live"), event.unwrap().data.to_string()));
        }
    }
    answers
}
