//! The keys by which an authorization server signs (RFC 7517), found by its
//! metadata (RFC 8414, section 3) and fetched as all of `OAuth` is.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::{
    web::{Web, shown},
    well_known,
};

/// The document with the keys of `issuer`: that at `place`, if it is known, else
/// where its metadata has it. Error: what was asked and what came.
pub(crate) async fn jwks(issuer: &str, place: Option<&Url>) -> Result<Bytes, String> {
    let own = match place {
        Some(place) => place.clone(),
        None => Url::parse(issuer).map_err(|error| format!("{issuer}: {error}"))?,
    };
    let web = Web::new(&own)?;
    let place = match place {
        Some(place) => place.clone(),
        None => find(&web, issuer).await?,
    };
    fetch(&web, &place)
        .await?
        .ok_or_else(|| format!("there is nothing at {}", shown(&place)))
}

/// Where the metadata of `issuer` says that its keys are.
async fn find(web: &Web, issuer: &str) -> Result<Url, String> {
    let places = well_known::of_issuer(issuer).map_err(|why| format!("{issuer} {why}"))?;
    for place in places {
        let Some(body) = fetch(web, &place).await? else {
            continue;
        };
        let at = shown(&place);
        let document: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|_| format!("{at} is no JSON object"))?;
        if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(format!(
                "{at} is the metadata of another issuer than {issuer}"
            ));
        }
        let keys = document.get("jwks_uri").and_then(Value::as_str);
        let keys = keys.and_then(|keys| Url::parse(keys).ok());
        return keys.ok_or_else(|| format!("{at} names no jwks_uri"));
    }
    Err(format!("no metadata of {issuer} was found"))
}

/// A document; `None` where there is none.
async fn fetch(web: &Web, place: &Url) -> Result<Option<Bytes>, String> {
    let response = web.get(place).await.map_err(|error| error.to_string())?;
    match response.status() {
        StatusCode::OK => Ok(Some(response.into_body())),
        status if status.is_client_error() => Ok(None),
        status => Err(format!("{} answers {status}", shown(place))),
    }
}
