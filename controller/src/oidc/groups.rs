//! What a person's groups may do here. Pure.

use serde_json::{Map, Value};

use crate::config::oidc::GroupRule;
use crate::model::role::Role;

/// Most groups of one person that are looked at.
const MAX_GROUPS: usize = 10_000;

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The role.
    pub role: Role,
    /// Tags that the person is limited to; empty for no limit.
    pub tags: Vec<String>,
}

/// The claim of this name: as it stands, or by its path where providers nest it (`realm_access.roles`).
pub(super) fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    })
}

/// The groups that a claim lists: texts, or one of them alone.
pub(super) fn of<'a>(claims: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    match find(claims, name) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().take(MAX_GROUPS).filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What the members of these groups may do: the most that one of them may, with the tags of all those that may as much.
/// Nobody gets more than a single group gives.
pub(super) fn access(rules: &[GroupRule], default: Option<Role>, groups: &[&str]) -> Option<Access> {
    let fits = || rules.iter().filter(|rule| groups.contains(&rule.name.as_str()));
    let Some(role) = fits().map(|rule| rule.role).max() else {
        return default.map(|role| Access { role, tags: Vec::new() });
    };
    let limits: Vec<_> = fits().filter(|rule| rule.role == role).map(|rule| &rule.tags).collect();
    let mut tags = Vec::new();
    if limits.iter().all(|limit| !limit.is_empty()) {
        tags = limits.into_iter().flatten().cloned().collect();
        tags.sort();
        tags.dedup();
    }
    Some(Access { role, tags })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(name: &str, role: Role, tags: &[&str]) -> GroupRule {
        GroupRule { name: name.to_owned(), role, tags: tags.iter().map(|&tag| tag.to_owned()).collect() }
    }

    #[test]
    fn the_highest_role_counts_with_the_tags_that_go_with_it() {
        let rules = [
            rule("all", Role::Viewer, &[]),
            rule("shop", Role::Operator, &["shop"]),
            rule("blog", Role::Operator, &["blog", "shop"]),
            rule("ops", Role::Operator, &[]),
            rule("boss", Role::Admin, &[]),
        ];
        let of =
            |groups: &[&str]| access(&rules, None, groups).map(|access| (access.role, access.tags.join(" ")));
        let is = |role, tags: &str| Some((role, tags.to_owned()));
        assert_eq!(of(&["all"]), is(Role::Viewer, ""));
        assert_eq!(of(&["all", "shop"]), is(Role::Operator, "shop"));
        assert_eq!(of(&["shop", "blog"]), is(Role::Operator, "blog shop"));
        assert_eq!(of(&["shop", "ops"]), is(Role::Operator, ""));
        assert_eq!(of(&["shop", "boss"]), is(Role::Admin, ""));
        assert_eq!((of(&[]), of(&["Boss", "boss "])), (None, None), "names are exact");
        let viewer = Some(Access { role: Role::Viewer, tags: Vec::new() });
        assert_eq!(access(&rules, Some(Role::Viewer), &["else"]), viewer);
    }

    #[test]
    fn groups_are_found_wherever_the_provider_puts_them() {
        let claims = json!({
            "groups": ["a", 7, "b"], "one": "a", "realm_access": { "roles": ["c"] },
            "https://example.org/groups": ["d"], "object": { "a": {} }
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(of(claims, "groups"), ["a", "b"]);
        assert_eq!(of(claims, "one"), ["a"]);
        assert_eq!(of(claims, "realm_access.roles"), ["c"]);
        assert_eq!(of(claims, "https://example.org/groups"), ["d"]);
        assert!(of(claims, "object").is_empty() && of(claims, "none.of.it").is_empty());
    }
}
