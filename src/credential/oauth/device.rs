//! Asking a person to consent on another device, with a code to type in
//! (RFC 8628).

use std::{sync::Arc, time::SystemTime};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Begun, LoginError, LoginWay, Page, flow::Flow, login::Login, record::Record, trouble::Trouble,
};
use crate::systemd;

/// The grant's name.
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Asks for a code, and goes on asking whether it was typed in.
pub(super) async fn ask(login: &Arc<Login>, record: Record) -> Result<(), Trouble> {
    let web = login.web()?;
    let device = login
        .requests(web, &record)
        .device(&record.requested)
        .await
        .map_err(|error| Trouble::from(error.to_string()))?;
    let url = device.verification_uri().to_string();
    let begun = Begun {
        backend: login.backend.to_string(),
        page: Page::Device {
            url: url.clone(),
            complete_url: device
                .verification_uri_complete()
                .map(|url| url.secret().clone()),
            code: device.user_code().secret().clone(),
        },
        expires: SystemTime::now() + device.expires_in(),
    };
    let ends = CancellationToken::new();
    let until = ends.clone();
    let flow = Flow::new(
        begun,
        LoginWay::Device,
        record.requested.clone(),
        None,
        ends,
    );
    let flow = Arc::new(flow);
    login.wait_for(&flow);
    systemd::login_needed(login.backend.as_str(), &url);
    let (login, waiting) = (Arc::clone(login), Arc::downgrade(&flow));
    tokio::spawn(async move {
        let Ok(web) = login.web() else { return };
        let requests = login.requests(web, &record);
        let asking = requests.device_tokens(&device, &record.requested);
        let Some(tokens) = until.run_until_cancelled(asking).await else {
            return;
        };
        // From here on nothing cuts it short: the tokens are there once.
        let outcome = match tokens {
            Ok(tokens) => {
                let record = Record {
                    tokens: Some(tokens),
                    ..record.clone()
                };
                let granted = login.granted(record).await;
                granted.map_err(|trouble| trouble.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match &outcome {
            Ok(()) => info!(backend = %login.backend, "logged in"),
            Err(reason) => warn!(backend = %login.backend, "the login has failed: {reason}"),
        }
        let Some(flow) = waiting.upgrade() else {
            return;
        };
        let ours = |own: &mut Arc<Flow>| Arc::ptr_eq(own, &flow);
        login.state().flow.take_if(ours);
        flow.end(outcome.map_err(LoginError));
    });
    Ok(())
}
