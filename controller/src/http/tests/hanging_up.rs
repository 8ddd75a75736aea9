//! Whoever asks for a change may hang up: the change is carried through and audited.

use std::time::Duration;

use axum::http::Method;
use futures_util::poll;
use tower::ServiceExt as _;

use super::{Site, request};
use crate::accounts::Role;
use crate::fleet::FleetChange;

#[tokio::test]
async fn a_removal_whose_asker_hangs_up_is_whole_and_audited() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let _agent = site.connect(&id, Vec::new());
    let cookie = site.cookie(Role::Admin).await;
    let (_, mut changes) = site.services.fleet.subscribe();

    let mut asked = Box::pin(site.router.clone().oneshot(request(
        Method::DELETE,
        &format!("/api/instances/{id}"),
        &cookie,
        None,
    )));
    assert!(poll!(&mut asked).is_pending());
    drop(asked);

    let removed = async {
        while !matches!(changes.recv().await, Ok(FleetChange::Removed(gone)) if gone == id) {}
        while !site.get("/api/audit").await.text.contains("instance.remove") {}
    };
    tokio::time::timeout(Duration::from_secs(20), removed).await.expect("the removal is carried through");
}
