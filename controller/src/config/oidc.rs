//! Signing in at a provider (OpenID Connect): which, and what its groups may do here.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde::Deserialize;

use super::{ConfigError, Secret, read, value};
use crate::model::role::Role;
use crate::web_url::WebUrl;

/// What is asked of the provider: who it is, and a name.
const SCOPES: &str = "openid profile email";

/// The claim that lists groups, as most providers call it.
const GROUPS_CLAIM: &str = "groups";

/// Most groups, tags of one, and characters of one tag: as users and instances have them.
const MAX_GROUPS: usize = 200;
const MAX_TAGS: usize = 16;
const LONGEST_TAG: usize = 32;

/// The section `[oidc]`, as written.
#[derive(Args, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct OidcSettings {
    /// Let people sign in at this OpenID Connect provider: its issuer, exactly as it calls itself.
    #[arg(id = "oidc-issuer", long = "oidc-issuer", env = "ROADSTEAD_OIDC_ISSUER", value_name = "URL")]
    pub issuer: Option<String>,

    /// What the provider knows this controller as.
    #[arg(
        id = "oidc-client-id",
        long = "oidc-client-id",
        env = "ROADSTEAD_OIDC_CLIENT_ID",
        value_name = "ID"
    )]
    pub client_id: Option<String>,

    /// The secret that goes with it; none for a public client. As a flag, other users of this host can read it.
    #[arg(
        id = "oidc-client-secret",
        long = "oidc-client-secret",
        env = "ROADSTEAD_OIDC_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub client_secret: Option<Secret>,

    /// File that holds the secret.
    #[arg(
        id = "oidc-client-secret-file",
        long = "oidc-client-secret-file",
        env = "ROADSTEAD_OIDC_CLIENT_SECRET_FILE",
        value_name = "FILE"
    )]
    pub client_secret_file: Option<PathBuf>,

    /// What is asked of the provider, separated by spaces [default: openid profile email]
    #[arg(id = "oidc-scopes", long = "oidc-scopes", env = "ROADSTEAD_OIDC_SCOPES", value_name = "SCOPES")]
    pub scopes: Option<String>,

    /// The claim that lists a person's groups; of nested ones with dots (realm_access.roles) [default: groups]
    #[arg(
        id = "oidc-groups-claim",
        long = "oidc-groups-claim",
        env = "ROADSTEAD_OIDC_GROUPS_CLAIM",
        value_name = "CLAIM"
    )]
    pub groups_claim: Option<String>,

    /// What the members of groups may do: `group=role` or `group=role:tag,tag`, with semicolons between.
    #[arg(id = "oidc-groups", long = "oidc-groups", env = "ROADSTEAD_OIDC_GROUPS", value_name = "GROUPS")]
    pub groups: Option<Groups>,

    /// Role of whoever is in none of these groups; without it, they are not let in.
    #[arg(
        id = "oidc-default-role",
        long = "oidc-default-role",
        env = "ROADSTEAD_OIDC_DEFAULT_ROLE",
        value_name = "ROLE"
    )]
    pub default_role: Option<String>,

    /// What the button on the sign-in page calls the provider [default: its host's name]
    #[arg(id = "oidc-label", long = "oidc-label", env = "ROADSTEAD_OIDC_LABEL", value_name = "NAME")]
    pub label: Option<String>,

    /// Authorities (PEM) that the provider is verified by [default: this system's]
    #[arg(id = "oidc-ca-file", long = "oidc-ca-file", env = "ROADSTEAD_OIDC_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Groups with what their members may do, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Groups(pub Vec<GroupSettings>);

/// One `[[oidc.groups]]`, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// The group, as the provider calls it.
    pub name: String,
    /// What its members may do: `admin`, `operator` or `viewer`.
    pub role: String,
    /// They see and act on instances with one of these tags; empty for all.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A provider to sign in at. Holds a secret, and therefore has no `Debug`.
#[derive(Clone)]
pub struct OidcConfig {
    /// The provider.
    pub issuer: WebUrl,
    /// What it knows this controller as.
    pub client_id: String,
    /// The secret that goes with it.
    pub client_secret: Option<String>,
    /// What is asked of it.
    pub scopes: String,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// What members of groups may do.
    pub groups: Vec<GroupRule>,
    /// Role of whoever is in none of them.
    pub default_role: Option<Role>,
    /// What the sign-in page calls the provider.
    pub label: String,
    /// Authorities that it is verified by; none for the system's.
    pub ca_file: Option<PathBuf>,
    /// Where it sends people back to.
    pub redirect_uri: String,
}

/// What the members of a group may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// The group.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Tags that they are limited to, sorted; empty for no limit.
    pub tags: Vec<String>,
}

/// The page of the UI that the provider sends people back to.
pub const CALLBACK: &str = "/oidc/callback";

impl FromStr for Groups {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(entry).collect::<Option<_>>().map(Self).ok_or(
            "write groups as `group=role` or `group=role:tag,tag`, with semicolons between, or as [[oidc.groups]] in \
             the file",
        )
    }
}

/// Names of groups may have `=` and `,` in them, as LDAP's do; roles and tags have not.
fn entry(text: &str) -> Option<GroupSettings> {
    let (name, access) = text.rsplit_once('=')?;
    let (role, tags) = access.split_once(':').map_or((access, None), |(role, tags)| (role, Some(tags)));
    let tags = tags.map(|tags| tags.split(',').map(|tag| tag.trim().to_owned()).collect());
    Some(GroupSettings {
        name: name.trim().to_owned(),
        role: role.trim().to_owned(),
        tags: tags.unwrap_or_default(),
    })
}

impl OidcSettings {
    /// These settings, with `file`'s where these are silent.
    #[must_use]
    pub(super) fn over(self, file: Self) -> Self {
        let given = |secret: Option<Secret>| secret.filter(|text| !text.0.is_empty());
        let [near, far] = [self.client_secret, file.client_secret].map(given);
        Self {
            issuer: self.issuer.or(file.issuer),
            client_id: self.client_id.or(file.client_id),
            client_secret_file: if near.is_some() {
                None
            } else {
                self.client_secret_file.or(file.client_secret_file)
            },
            client_secret: near.or(far),
            scopes: self.scopes.or(file.scopes),
            groups_claim: self.groups_claim.or(file.groups_claim),
            groups: self.groups.or(file.groups),
            default_role: self.default_role.or(file.default_role),
            label: self.label.or(file.label),
            ca_file: self.ca_file.or(file.ca_file),
        }
    }

    /// Checks everything and fills in the defaults; none without an issuer.
    ///
    /// # Errors
    /// The first thing that cannot be used.
    pub(super) fn resolve(self, public_url: Option<&WebUrl>) -> Result<Option<OidcConfig>, ConfigError> {
        let given =
            |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let Some(issuer) = given(self.issuer) else { return Ok(None) };
        let issuer: WebUrl = issuer.parse().map_err(|error| value("ROADSTEAD_OIDC_ISSUER", error))?;
        if !issuer.is_private() || issuer.path().contains('?') {
            let problem =
                "an issuer is https://…, without a query; http:// is taken to this host itself alone";
            return Err(value("ROADSTEAD_OIDC_ISSUER", problem));
        }
        let Some(public_url) = public_url else {
            let problem = "say where people reach this controller (https://roadstead.example.org): the provider \
                           sends them back there";
            return Err(value("ROADSTEAD_PUBLIC_URL", problem));
        };
        let client_id = given(self.client_id).ok_or_else(|| {
            value("ROADSTEAD_OIDC_CLIENT_ID", "name what the provider knows this controller as")
        })?;
        let secret = match (&self.client_secret_file, self.client_secret) {
            (Some(path), _) => Some(read(path)?.trim().to_owned()),
            (None, given) => given.map(|Secret(text)| text),
        };
        let scopes = given(self.scopes).unwrap_or_else(|| SCOPES.to_owned());
        if !scopes.split_whitespace().any(|scope| scope == "openid") {
            return Err(value("ROADSTEAD_OIDC_SCOPES", "`openid` has to be one of them"));
        }
        let groups = rules(self.groups.unwrap_or_default().0)?;
        let default_role = given(self.default_role)
            .map(|text| role(&text).map_err(|problem| value("ROADSTEAD_OIDC_DEFAULT_ROLE", problem)))
            .transpose()?;
        if groups.is_empty() && default_role.is_none() {
            let problem = "nobody would be let in: give groups a role (`staff=viewer; ops=operator`), or set \
                           ROADSTEAD_OIDC_DEFAULT_ROLE";
            return Err(value("ROADSTEAD_OIDC_GROUPS", problem));
        }
        Ok(Some(OidcConfig {
            label: given(self.label).unwrap_or_else(|| issuer.host().to_owned()),
            redirect_uri: format!("{}{CALLBACK}", public_url.as_str().trim_end_matches('/')),
            issuer,
            client_id,
            client_secret: secret.filter(|secret| !secret.is_empty()),
            scopes,
            groups_claim: given(self.groups_claim).unwrap_or_else(|| GROUPS_CLAIM.to_owned()),
            groups,
            default_role,
            ca_file: self.ca_file,
        }))
    }
}

fn rules(groups: Vec<GroupSettings>) -> Result<Vec<GroupRule>, ConfigError> {
    let invalid = |problem: String| value("ROADSTEAD_OIDC_GROUPS", problem);
    if groups.len() > MAX_GROUPS {
        return Err(invalid(format!("at most {MAX_GROUPS} groups, please")));
    }
    let rule = |GroupSettings { name, role: text, mut tags }| {
        if name.trim().is_empty() {
            return Err(invalid("a group has no name".to_owned()));
        }
        let role = role(&text).map_err(|problem| invalid(format!("group `{name}`: {problem}")))?;
        let fits = |tag: &String| {
            !tag.trim().is_empty() && tag.chars().count() <= LONGEST_TAG && !tag.contains(char::is_control)
        };
        if tags.len() > MAX_TAGS || !tags.iter().all(fits) {
            return Err(invalid(format!("group `{name}`: give at most 16 tags of 1 to 32 characters")));
        }
        if role == Role::Admin && !tags.is_empty() {
            let problem =
                "administrators see every instance: leave the tags out, or choose operator or viewer";
            return Err(invalid(format!("group `{name}`: {problem}")));
        }
        tags.sort();
        tags.dedup();
        Ok(GroupRule { name, role, tags })
    };
    groups.into_iter().map(rule).collect()
}

fn role(text: &str) -> Result<Role, &'static str> {
    text.parse().ok().filter(|role| *role != Role::Guest).ok_or("the roles are: admin operator viewer")
}

#[cfg(test)]
mod tests;
