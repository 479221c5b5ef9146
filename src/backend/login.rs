//! What a backend's supervisor waits for where a person has to log in.

use std::sync::Arc;

use tokio::sync::watch;

use crate::credential::Standing;

/// Waits until there is another token than there was `before`.
pub(super) async fn renewed(
    standing: &mut Option<watch::Receiver<Standing>>,
    before: Option<Standing>,
) {
    let Some(standing) = standing else {
        return std::future::pending().await;
    };
    let news = |standing: &Standing| {
        matches!(standing, Standing::LoggedIn(_)) && Some(*standing) != before
    };
    if standing.wait_for(news).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until a login that held is over, and says so.
pub(super) async fn lapsed(standing: Option<watch::Receiver<Standing>>) -> Arc<str> {
    let Some(mut standing) = standing else {
        return std::future::pending().await;
    };
    let held = standing
        .wait_for(|standing| matches!(standing, Standing::LoggedIn(_)))
        .await
        .is_ok();
    let over = standing
        .wait_for(|standing| *standing == Standing::Needed)
        .await
        .is_ok();
    if !(held && over) {
        return std::future::pending().await;
    }
    "its login is over".into()
}
