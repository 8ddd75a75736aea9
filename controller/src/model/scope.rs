//! Which instances somebody sees and acts on.

use std::collections::BTreeSet;

use roadstead_protocol::message::ids::InstanceId;

use super::InstanceRecord;

/// Which instances somebody sees and acts on: those that fit every limit. Without a limit, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    limits: Vec<Limit>,
}

/// Instances that have one of these tags, and these instances by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Any of these tags will do.
    pub tags: BTreeSet<String>,
    /// These instances fit whatever their tags.
    pub instances: BTreeSet<InstanceId>,
}

impl Scope {
    /// This scope within a further limit. A limit that names nothing is none.
    #[must_use]
    pub fn within(mut self, limit: Limit) -> Self {
        if !(limit.tags.is_empty() && limit.instances.is_empty()) {
            self.limits.push(limit);
        }
        self
    }

    /// Whether every instance is in it, also those to come.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether an instance is in it.
    #[must_use]
    pub fn holds(&self, record: &InstanceRecord) -> bool {
        self.fits(&record.id, &record.tags)
    }

    /// Whether an instance of this id with these tags is, or would be, in it.
    #[must_use]
    pub fn fits(&self, id: &InstanceId, tags: &[String]) -> bool {
        let fits =
            |limit: &Limit| limit.instances.contains(id) || tags.iter().any(|tag| limit.tags.contains(tag));
        self.limits.iter().all(fits)
    }

    /// Whether a new instance with these tags would be in it, whatever its id.
    #[must_use]
    pub fn fits_new(&self, tags: &[String]) -> bool {
        self.limits.iter().all(|limit| tags.iter().any(|tag| limit.tags.contains(tag)))
    }

    /// Every tag that a limit names, for messages.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        let tags: BTreeSet<_> = self.limits.iter().flat_map(|limit| limit.tags.iter().cloned()).collect();
        tags.into_iter().collect()
    }
}

impl Limit {
    /// Instances with one of these tags.
    #[must_use]
    pub fn of_tags(tags: &[String]) -> Self {
        Self { tags: tags.iter().cloned().collect(), instances: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_instance_must_fit_every_limit() {
        let (web, db): (InstanceId, InstanceId) = ("web".parse().unwrap(), "db".parse().unwrap());
        let everything = Scope::default().within(Limit::default());
        assert!(everything.is_everything() && everything.fits(&web, &[]) && everything.fits_new(&[]));

        let shop = Scope::default().within(Limit::of_tags(&tags(&["shop", "blog"])));
        assert!(shop.fits(&web, &tags(&["eu", "shop"])) && !shop.fits(&web, &tags(&["eu"])));
        assert!(!shop.fits(&web, &[]) && !shop.fits_new(&[]) && shop.fits_new(&tags(&["blog"])));

        let one = Limit { instances: [db.clone()].into(), ..Limit::default() };
        let both = shop.within(one);
        assert!(both.fits(&db, &tags(&["shop"])) && !both.fits(&db, &tags(&["eu"])));
        assert!(!both.fits(&web, &tags(&["shop"])) && !both.fits_new(&tags(&["shop"])));
    }
}
