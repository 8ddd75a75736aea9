//! A controller's data without a running controller: what the sub-commands do.

use std::path::PathBuf;

use anyhow::Context as _;
use roadstead_protocol::message::ids::TokenId;

use super::{Core, Listening, agent_urls};
use crate::accounts::Accounts;
use crate::audit::Audit;
use crate::config::Config;
use crate::enrolment::{Enrolment, NewToken};
use crate::model::JoinTokenRecord;

/// A controller's data without a running controller.
pub struct Offline<'a> {
    pub(super) core: Core,
    pub(super) config: &'a Config,
}

impl Offline<'_> {
    /// Makes a join token.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn join_token(&self, new: NewToken) -> anyhow::Result<String> {
        Ok(self.enrolment().issue_token(new).await?.text)
    }

    /// The join token of an agent that the configuration file declares.
    ///
    /// # Errors
    /// If it declares no such agent, or its token names no address.
    pub fn declared_token(&self, name: &str) -> anyhow::Result<String> {
        let agent = self.config.agents.iter().find(|agent| agent.name.eq_ignore_ascii_case(name));
        let agent = agent.with_context(|| format!("the configuration file declares no agent `{name}`"))?;
        Ok(self.enrolment().declared_token(agent)?)
    }

    /// Every join token.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn join_tokens(&self) -> anyhow::Result<Vec<JoinTokenRecord>> {
        Ok(self.enrolment().tokens().await?)
    }

    /// Revokes a join token.
    ///
    /// # Errors
    /// If there is none, or it cannot be stored.
    pub async fn revoke_token(&self, id: TokenId) -> anyhow::Result<()> {
        Ok(self.enrolment().revoke_token(id).await?)
    }

    fn enrolment(&self) -> Enrolment {
        let agents = Listening::read(&self.config.data_dir)
            .map_or(self.config.agent_listen, |listening| listening.agents);
        self.core.enrolment(self.config, agent_urls(self.config, agents))
    }

    /// Gives the user admin a new password and returns it.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn reset_password(&self) -> anyhow::Result<String> {
        let (accounts, made) = Accounts::open(self.core.store.clone(), None, false).await?;
        match made {
            Some(password) => Ok(password),
            None => Ok(accounts.reset_admin().await?),
        }
    }

    /// Reads the whole database, and says whether it is whole.
    ///
    /// # Errors
    /// If it is not; the text says what is wrong.
    pub async fn verify(&self) -> anyhow::Result<()> {
        Ok(self.core.store.check().await?)
    }

    /// The accounts.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn accounts(&self) -> anyhow::Result<Accounts> {
        Ok(Accounts::of(self.core.store.clone(), false).await?)
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::new(self.core.store.clone())
    }

    /// Writes a consistent copy of the database.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub async fn backup(&self, to: PathBuf) -> anyhow::Result<()> {
        Ok(self.core.store.backup(to).await?)
    }
}
