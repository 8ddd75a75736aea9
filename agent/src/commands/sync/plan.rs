//! What a project is made of, read from its containers' labels. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use roadstead_protocol::message::container::{Container, ContainerState};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::progress::PlannedService;

use crate::commands::protection;
use crate::commands::replace::{NEW_MARK, OLD_MARK};

/// A compose project as its containers show it.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Project {
    pub name: String,
    /// Dependencies first.
    pub services: Vec<Service>,
    /// Every container of it, leftovers of interrupted syncs too.
    pub containers: Vec<Container>,
}

/// One service of a project.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Service {
    pub name: String,
    /// Image reference that its containers were created with, or that compose will create them with.
    pub image: String,
    /// Its containers, by name; none for a service that compose has yet to create.
    pub containers: Vec<Container>,
    /// Whether this agent itself runs in it.
    pub own: bool,
    /// The container of it, by name, that nothing may touch.
    pub protected: Option<String>,
    /// Why it is to be left as it is, where only compose knows that.
    pub leave: Option<String>,
}

/// Where a project's compose files are, by its containers' labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Files {
    pub directory: PathBuf,
    /// As they were given to compose: absolute, or relative to where it ran.
    pub files: Vec<PathBuf>,
    pub env_files: Vec<PathBuf>,
    /// Version of the compose program that created the project.
    pub version: String,
}

impl Project {
    /// The project of that name among `containers`.
    ///
    /// # Errors
    /// If no container belongs to it; the text names the projects that there are.
    pub fn find(containers: &[Container], name: &str, own: Option<&ContainerId>) -> Result<Self, String> {
        let containers: Vec<_> = {
            let of_project = |container: &&Container| container.compose_project() == Some(name);
            let found: Vec<_> =
                containers.iter().filter(of_project).filter(|found| !one_off(found)).collect();
            if found.is_empty() {
                return Err(unknown_project(containers, name));
            }
            found.into_iter().cloned().collect()
        };
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        for container in containers.iter().filter(|container| !is_leftover(container)) {
            let Some(service) = container.compose_service() else { continue };
            let entry = services.entry(service.to_owned()).or_insert_with(|| Service::new(service));
            entry.own |= own == Some(&container.id);
            if protection::is_on(container) {
                entry.protected = Some(container.name.clone());
            }
            entry.containers.push(container.clone());
        }
        for service in services.values_mut() {
            service.containers.sort_by(|a, b| a.name.cmp(&b.name));
            let newest = service.containers.iter().max_by_key(|container| container.created_at);
            service.image = newest.map(|container| container.image.clone()).unwrap_or_default();
        }
        Ok(Self { name: name.to_owned(), services: in_order(services), containers })
    }

    /// Keeps only the services named; all if none is named.
    ///
    /// # Errors
    /// If one is not there; the text names those that are.
    pub fn select(&mut self, wanted: &[String]) -> Result<(), String> {
        if let Some(unknown) = wanted.iter().find(|name| !self.services.iter().any(|s| s.name == **name)) {
            let known: Vec<_> = self.services.iter().map(|service| service.name.as_str()).collect();
            return Err(format!(
                "project `{}` has no service `{unknown}` on this host; it has: {}",
                self.name,
                known.join(", ")
            ));
        }
        if !wanted.is_empty() {
            self.services.retain(|service| wanted.contains(&service.name));
        }
        Ok(())
    }

    /// Whether an interrupted sync left something behind.
    pub fn has_leftovers(&self) -> bool {
        self.containers.iter().any(is_leftover)
    }

    /// The service this agent runs in, if it is one of these.
    pub fn own_service(&self) -> Option<&Service> {
        self.services.iter().find(|service| service.own)
    }

    /// The services as a plan names them.
    pub fn planned(&self) -> Vec<PlannedService> {
        let planned = |service: &Service| PlannedService {
            service: service.name.clone(),
            image: service.image.clone(),
            current: service.running_image(),
        };
        self.services.iter().map(planned).collect()
    }

    /// The container whose labels say where its compose files are: the newest.
    pub fn told_by(&self) -> Option<&Container> {
        self.containers.iter().filter(|container| !is_leftover(container)).max_by_key(|c| c.created_at)
    }

    /// Where its compose files are. A label that comes from the container's `image` is not compose's word but that of
    /// whoever made the image, and says nothing.
    ///
    /// # Errors
    /// If its containers' labels do not say.
    pub fn files(&self, image: &BTreeMap<String, String>) -> Result<Files, String> {
        let labels = self.told_by().map(|container| &container.labels);
        let label = |name: &str| {
            let value = labels.and_then(|labels| labels.get(name)).filter(|value| !value.is_empty());
            value.filter(|value| image.get(name) != Some(value))
        };
        let missing =
            |what: &str| format!("the project's containers have no label that says where its {what}");
        let directory = label("com.docker.compose.project.working_dir")
            .map(PathBuf::from)
            .ok_or_else(|| missing("directory is"))?;
        let files = label("com.docker.compose.project.config_files").ok_or_else(|| missing("files are"))?;
        let files = split_paths(files);
        let env_files = label("com.docker.compose.project.environment_file");
        let env_files = env_files.map(|files| split_paths(files)).unwrap_or_default();
        let version = label("com.docker.compose.version").cloned().unwrap_or_default();
        Ok(Files { directory, files, env_files, version })
    }
}

impl Service {
    pub(super) fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, image: String::new(), containers: Vec::new(), own: false, protected: None, leave: None }
    }

    /// Whether this command may change it.
    pub const fn may_change(&self) -> bool {
        !self.own && self.protected.is_none()
    }

    /// What runs now; what ran last if nothing runs.
    pub fn running_image(&self) -> Option<String> {
        let running = self.containers.iter().find(|container| container.state == ContainerState::Running);
        running.or(self.containers.first()).map(|container| container.image_id.clone())
    }

    /// Its image reference, if that names something a registry can have.
    pub fn pullable(&self) -> Option<&str> {
        let named = !self.image.is_empty() && !self.image.starts_with("sha256:");
        named.then_some(self.image.as_str())
    }
}

fn split_paths(text: &str) -> Vec<PathBuf> {
    text.split(',').map(|file| PathBuf::from(file.trim())).collect()
}

fn one_off(container: &Container) -> bool {
    container.labels.get("com.docker.compose.oneoff").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn is_leftover(container: &Container) -> bool {
    container.name.contains(OLD_MARK) || container.name.contains(NEW_MARK)
}

fn unknown_project(containers: &[Container], name: &str) -> String {
    let known: BTreeSet<_> = containers.iter().filter_map(Container::compose_project).collect();
    let known: Vec<_> = known.into_iter().take(50).collect();
    let known = if known.is_empty() { "none at all".to_owned() } else { known.join(", ") };
    format!("there is no compose project `{name}` on this host; there is: {known}")
}

/// Dependencies before what depends on them, otherwise by name; in a circle by name too.
fn in_order(services: BTreeMap<String, Service>) -> Vec<Service> {
    let mut waiting: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, service) in &services {
        let wanted = service.containers.iter().flat_map(dependencies);
        waiting.insert(
            name.clone(),
            wanted.filter(|other| services.contains_key(other) && other != name).collect(),
        );
    }
    let mut services = services;
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let free = waiting.iter().find(|(_, wanted)| wanted.is_empty()).or_else(|| waiting.iter().next());
        let Some(name) = free.map(|(name, _)| name.clone()) else { break };
        waiting.remove(&name);
        for wanted in waiting.values_mut() {
            wanted.remove(&name);
        }
        ordered.extend(services.remove(&name));
    }
    ordered
}

/// The services that a container's service depends on: `db:service_healthy:true,cache:service_started:false`.
fn dependencies(container: &Container) -> Vec<String> {
    let label = container.labels.get("com.docker.compose.depends_on").map(String::as_str).unwrap_or_default();
    let names = label.split(',').filter_map(|part| part.split(':').next());
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;

    fn shop() -> Vec<Container> {
        let engine = FakeEngine::new();
        let mut web = engine.compose_sample("shop", "web", "app:1");
        web.labels.insert("com.docker.compose.depends_on".to_owned(), "zdb:service_started:false".to_owned());
        let db = engine.compose_sample("shop", "zdb", "db:1");
        let mut once = engine.compose_sample("shop", "web", "app:1");
        once.labels.insert("com.docker.compose.oneoff".to_owned(), "True".to_owned());
        let mut left = engine.compose_sample("shop", "web", "app:0");
        left.name = format!("shop_web_1{OLD_MARK}0123456789ab");
        vec![web, db, once, left, engine.compose_sample("blog", "web", "app:1")]
    }

    fn names(project: &Project) -> Vec<&str> {
        project.services.iter().map(|service| service.name.as_str()).collect()
    }

    #[test]
    fn services_come_in_order_of_dependency_without_runs_and_leftovers() {
        let project = Project::find(&shop(), "shop", None).unwrap();
        assert_eq!(names(&project), ["zdb", "web"]);
        assert_eq!(project.services[1].containers.len(), 1);
        assert!(project.has_leftovers());
    }

    #[test]
    fn an_unknown_project_or_service_is_answered_with_those_there_are() {
        let reason = Project::find(&shop(), "shoop", None).unwrap_err();
        assert!(reason.contains("blog, shop"), "{reason}");
        let mut project = Project::find(&shop(), "shop", None).unwrap();
        let reason = project.select(&["wep".to_owned()]).unwrap_err();
        assert!(reason.contains("zdb, web"), "{reason}");
        project.select(&["web".to_owned()]).unwrap();
        assert_eq!(names(&project), ["web"]);
    }

    #[test]
    fn a_circle_of_dependencies_still_yields_every_service() {
        let mut containers = shop();
        containers[1].labels.insert("com.docker.compose.depends_on".to_owned(), "web".to_owned());
        assert_eq!(names(&Project::find(&containers, "shop", None).unwrap()), ["web", "zdb"]);
    }

    #[test]
    fn the_agents_own_service_is_known() {
        let containers = shop();
        let own = containers[1].id.clone();
        let project = Project::find(&containers, "shop", Some(&own)).unwrap();
        assert_eq!(project.own_service().map(|service| service.name.as_str()), Some("zdb"));
    }

    #[test]
    fn files_are_found_by_labels() {
        let mut containers = shop();
        assert!(Project::find(&containers, "shop", None).unwrap().files(&BTreeMap::new()).is_err());
        for (label, value) in [
            ("project.working_dir", "/srv/shop"),
            ("project.config_files", "docker-compose.yml,/srv/more.yml"),
            ("version", "1.29.2"),
        ] {
            for container in &mut containers {
                container.labels.insert(format!("com.docker.compose.{label}"), value.to_owned());
            }
        }
        let files = Project::find(&containers, "shop", None).unwrap().files(&BTreeMap::new()).unwrap();
        assert_eq!(files.directory, PathBuf::from("/srv/shop"));
        assert_eq!(files.files, ["docker-compose.yml", "/srv/more.yml"].map(PathBuf::from));
        assert_eq!(files.version, "1.29.2");
    }
}
