//! People who sign in at a provider: found by the provider's name for them, made at their first sign-in, and given
//! anew at each what their groups are worth. Never mistaken for a user who merely has the same name.

use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;

use super::entry::{NewSession, Origin};
use super::error::ExternalError;
use super::{ADMIN, Accounts, GUEST, LONGEST_NAME};
use crate::model::role::Role;
use crate::store::StoreError;
use crate::store::external_users::{ExternalSignIn, ExternalWrite};

/// How long a session of such a person lasts, however it is used: what the provider says has to be asked for again.
pub const EXTERNAL_SESSION_LENGTH: Duration = Duration::from_secs(24 * 3600);

/// How many people of one name are told apart.
const NAMESAKES: u32 = 100;

/// Somebody whom a provider vouches for.
#[derive(Clone, Debug)]
pub struct External {
    /// The provider.
    pub issuer: String,
    /// Its name for the person.
    pub subject: String,
    /// What the person would like to be called.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// The tags that go with it; empty for no limit.
    pub tags: Vec<String>,
}

/// A session of such a person.
pub struct ExternalSession {
    /// The session.
    pub session: NewSession,
    /// What changed about the user, as the audit log names it.
    pub change: Option<&'static str>,
}

impl Accounts {
    /// Lets somebody in whom a provider vouches for.
    ///
    /// # Errors
    /// If an administrator keeps the person out, the last administrator would be none, there are too many users, or
    /// the store fails.
    pub async fn let_external_in(
        &self,
        person: External,
        from: Origin,
    ) -> Result<ExternalSession, ExternalError> {
        let External { issuer, subject, name, role, tags } = person;
        let names = names(&name);
        let at = UnixMicros::now();
        let sign_in = ExternalSignIn { issuer, subject, names, role, tags: tags.clone(), at };
        let (name, change) = match self.store.sign_in_external(sign_in).await? {
            ExternalWrite::Made(name) => (name, Some("user.add")),
            ExternalWrite::Known { name, changed } => (name, changed.then_some("user.change")),
            ExternalWrite::KeptOut(name) => return Err(ExternalError::KeptOut(name)),
            ExternalWrite::LastAdmin(name) => return Err(ExternalError::LastAdmin(name)),
            ExternalWrite::TooMany => return Err(ExternalError::TooMany),
        };
        let life = Some(EXTERNAL_SESSION_LENGTH);
        let session = self.begin_session(name, role, tags, from, life).await?;
        Ok(ExternalSession { session, change })
    }

    /// Keeps somebody out whom no group lets in any more: sessions end, and API tokens are of no use. The last
    /// administrator stays. Returns the name of the user who is kept out from now on.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn lapse_external(&self, issuer: &str, subject: &str) -> Result<Option<String>, StoreError> {
        self.store.lapse_external(issuer.to_owned(), subject.to_owned()).await
    }
}

/// Names to be known by, the best first: with what names here may have, and never that of the first administrator, who
/// is given passwords by that name.
fn names(wanted: &str) -> Vec<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@+".contains(c);
    let name: String = wanted.trim().to_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let name = if name.is_empty() { "user" } else { name };
    let (name, _) = name.split_at(name.len().min(LONGEST_NAME - 4));
    let numbered = (2..NAMESAKES).map(|number| format!("{name}-{number}"));
    let plain = Some(name.to_owned()).filter(|name| name != ADMIN && name != GUEST);
    plain.into_iter().chain(numbered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_are_nobodys() {
        for (wanted, name) in [
            ("Anna", "anna"),
            ("anna.b@example.org", "anna.b@example.org"),
            (" Jörg Müller ", "j-rg-m-ller"),
            ("--x", "x"),
            ("", "user"),
            ("日本", "user"),
            ("Admin", "admin-2"),
            ("guest", "guest-2"),
        ] {
            assert_eq!(names(wanted)[0], name, "{wanted}");
        }
        let long = names(&"x".repeat(1000));
        assert!(long.iter().all(|name| name.len() <= LONGEST_NAME) && long.len() == 99);
    }
}
