//! The composition root: builds every part, hands each what it needs, runs them, ends them in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::link::listener::{ListenLimits, Listener};
use roadstead_protocol::link::tls::Trust;
use roadstead_protocol::message::ids::InstanceId;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::admission::Admission;
use crate::audit::Audit;
use crate::commands::Commands;
use crate::config::{Config, LocalAgent};
use crate::connect::{Front, dialling, listening};
use crate::enrolment::Enrolment;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::http::{self, About, Services};
use crate::model::Direction;
use crate::probes::Probes;
use crate::registry::Registry;
use crate::store::Store;
use crate::supervised::{Supervised, find_program};

/// Where a running controller can be reached. Also written to `listening.json` in its data folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listening {
    /// API and web UI.
    pub web: SocketAddr,
    /// The same as a URL.
    pub web_url: String,
    /// Agents.
    pub agents: SocketAddr,
    /// What join tokens name.
    pub agent_urls: Vec<String>,
    /// The password that was made at this first start; never written to the file.
    #[serde(skip)]
    pub new_password: Option<String>,
}

impl Listening {
    /// Reads where the controller that uses `data_dir` listens.
    ///
    /// # Errors
    /// If none has run with this folder.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("listening.json");
        let text = std::fs::read(&path)
            .with_context(|| format!("{}: no controller runs with this data folder", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let (path, temporary) = (data_dir.join("listening.json"), data_dir.join("listening.json.new"));
        std::fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&temporary, &path).with_context(|| path.display().to_string())
    }
}

