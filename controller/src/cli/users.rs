//! Users on the command line: for who has no other way in, and for scripts.

use std::fmt::Write as _;

use clap::{Subcommand, ValueEnum};

use crate::accounts::{Accounts, NewUser, Role, UserError};
use crate::audit::{Audit, AuditResult, Entry};
use crate::config::Config;
use crate::controller::Controller;

/// What can be done to users.
#[derive(Subcommand)]
pub enum Command {
    /// Make a user, and print the password that was made.
    Add {
        /// Name: small letters, digits, and . _ - @ +
        name: String,
        /// What the user may do.
        #[arg(long, default_value = "viewer")]
        role: RoleArgument,
        /// The user sees and acts on instances with this tag; may be given several times; without it, on all.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Print every user: name, role, tags, second factor, and whether the user is kept out.
    List,
    /// Give a user a new password and print it; ends every web session of the user's.
    ResetPassword {
        /// Name of the user.
        name: String,
    },
    /// Take a user's second factor away: for who has lost it, and the recovery codes.
    ResetSecondFactor {
        /// Name of the user.
        name: String,
    },
}

/// What a user may do.
#[derive(Clone, Copy, ValueEnum)]
pub enum RoleArgument {
    /// Looks.
    Viewer,
    /// Changes instances and runs commands.
    Operator,
    /// Sees the audit log as well, and manages users.
    Admin,
}

/// Does it, and returns what to print.
pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<String> {
    let offline = Controller::offline(config).await?;
    let (accounts, audit) = (offline.accounts().await?, offline.audit());
    let (what, name, done) = match command {
        Command::List => return list(&accounts).await,
        Command::Add { name, role, tags } => {
            let role = match role {
                RoleArgument::Viewer => Role::Viewer,
                RoleArgument::Operator => Role::Operator,
                RoleArgument::Admin => Role::Admin,
            };
            let new = NewUser { name: name.clone(), password: None, role, tags };
            ("user.add", name, accounts.add_user(new).await.map(|(_, made)| made))
        }
        Command::ResetPassword { name } => {
            let set = accounts.set_password(&name, None, None).await;
            ("user.password", name, set)
        }
        Command::ResetSecondFactor { name } => {
            let reset = accounts.remove_second_factor(&name).await.map(|()| None);
            ("user.second-factor", name, reset)
        }
    };
    record(&audit, what, &name, &done).await;
    Ok(done?.unwrap_or_else(|| format!("{name} signs in with the password alone from now on")))
}

async fn list(accounts: &Accounts) -> anyhow::Result<String> {
    let mut text = String::new();
    for user in accounts.users().await? {
        let tags = if user.tags.is_empty() { "every instance".to_owned() } else { user.tags.join(",") };
        let factor = match user.issuer {
            Some(issuer) => format!("signs in at {issuer}"),
            None if user.totp_secret.is_some() => "second factor".to_owned(),
            None => "password alone".to_owned(),
        };
        let kept_out = if user.disabled { "\tkept out" } else { "" };
        writeln!(text, "{}\t{}\t{tags}\t{factor}{kept_out}", user.name, user.role.as_str())?;
    }
    text.truncate(text.trim_end().len());
    Ok(text)
}

async fn record<T>(audit: &Audit, what: &str, name: &str, done: &Result<T, UserError>) {
    let problem = done.as_ref().err().map(ToString::to_string);
    let result = if problem.is_none() { AuditResult::Done } else { AuditResult::Refused };
    audit
        .record(Entry {
            who: "command line",
            address: None,
            what,
            target: Some(name),
            result,
            detail: problem.as_deref(),
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::store::Store;

    #[tokio::test]
    async fn users_are_made_listed_and_helped_without_the_web() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let settings = Settings { data_dir: Some(folder.path().to_owned()), ..Settings::default() };
        let config = settings.resolve().unwrap();
        let add = |name: &str| Command::Add {
            name: name.to_owned(),
            role: RoleArgument::Operator,
            tags: vec!["shop".to_owned()],
        };
        let password = run(add("anna"), &config).await.unwrap();
        assert_eq!(password.len(), 24, "{password}");
        assert!(run(add("anna"), &config).await.unwrap_err().to_string().contains("already"));
        let reset = Command::ResetPassword { name: "anna".to_owned() };
        assert_ne!(run(reset, &config).await.unwrap(), password);
        let forgotten = Command::ResetSecondFactor { name: "nobody".to_owned() };
        assert!(run(forgotten, &config).await.unwrap_err().to_string().contains("no user"));
        let listed = run(Command::List, &config).await.unwrap();
        assert!(listed.contains("anna\toperator\tshop\tpassword alone"), "{listed}");
        let audit = Controller::offline(&config).await.unwrap().audit();
        let told: Vec<_> =
            audit.page(None, 10).await.unwrap().into_iter().map(|record| record.entry.what).collect();
        assert_eq!(told, ["user.second-factor", "user.password", "user.add", "user.add"]);
    }
}
