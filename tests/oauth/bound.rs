//! Tokens that are bound to a key, where server and authorization server want a
//! proof of possession with a nonce of their own in each request.

use serde_json::json;

use crate::{
    house::{House, Store},
    peers::Plan,
};

#[test]
fn bound_tokens_and_what_renews_them_outlive_a_restart() {
    let plan = Plan::default().authorization("bound", true);
    let plan = plan.resource("bound", true).client(json!({
        "client_id": "public", "application_type": "native",
        "token_endpoint_auth_method": "none",
        "redirect_uris": ["http://127.0.0.1/oauth/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
    }));
    let peers = plan.start();
    for store in [Store::Runtime, Store::Vault] {
        // The refresh token of a client without a secret is bound as well.
        let auth = json!({ "client_id": "public" });
        let house = House::of(&peers, peers.endpoint(), auth).store(store);
        let daemon = house.serve();
        daemon.log_in("web");
        daemon.echoes("web");
        daemon.mux.stop();
        let daemon = house.serve();
        daemon.up("web");
        daemon.echoes("web");
        peers.refuse();
        daemon.echoes("web");
        assert_eq!(daemon.logins_asked("web"), 0);
        let mut given = peers.requests_for("token");
        let wanted = |error: &Option<String>| error.as_deref() == Some("use_dpop_nonce");
        assert!(given.iter().any(|request| wanted(&request.error)));
        given.retain(|request| request.status == 200);
        assert!(given.iter().all(|request| request.bound), "{given:#?}");
        let last = given.last().unwrap();
        assert_eq!(last.grant.as_deref(), Some("refresh_token"));
    }
}
