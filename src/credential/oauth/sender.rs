//! Sends what is asked of an authorization server, with what each sending must
//! have anew, another try included: the client's assertion, whose id is good once
//! (RFC 7523 section 3), and the proof of possession (RFC 9449 section 5).

use std::{pin::Pin, time::SystemTime};

use http::HeaderValue;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use url::form_urlencoded::Serializer;

use super::{
    assertion::{ASSERTION_TYPE, AssertionError, assertion},
    dpop::{HEADER, ProofError, Prover},
    requests::SigningKey,
    web::{Web, WebError},
};

/// How often a request is sent again with a nonce that the server wants; one is
/// enough, unless it ends just then.
const MAX_NONCES: usize = 2;

/// The one that sends.
pub(super) struct Sender<'a> {
    pub(super) web: &'a Web,
    /// Where it goes, if not where the crate says.
    pub(super) to: Option<http::Uri>,
    /// Who asserts to be the client.
    pub(super) asserted: Option<Asserted<'a>>,
    /// What the tokens asked for are to be bound to.
    pub(super) prover: Option<&'a Prover>,
}

/// A client that proves itself with a key.
#[derive(Clone, Copy)]
pub(super) struct Asserted<'a> {
    pub(super) key: SigningKey<'a>,
    pub(super) client_id: &'a str,
    /// RFC 7523bis: the issuer, which no other server can pass off as its own.
    pub(super) audience: &'a str,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Web(#[from] WebError),
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Sender<'_> {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, SendError> {
        if let Some(to) = &self.to {
            *request.uri_mut() = to.clone();
        }
        for _ in 0..MAX_NONCES {
            let (response, used) = self.once(request.clone()).await?;
            let again = self
                .prover
                .is_some_and(|prover| prover.is_refused_by_server(&response, used.as_ref()));
            if !again {
                return Ok(response);
            }
        }
        Ok(self.once(request).await?.0)
    }

    /// Sends it, and gives the nonce that was used.
    async fn once(
        &self,
        mut request: HttpRequest,
    ) -> Result<(HttpResponse, Option<HeaderValue>), SendError> {
        if let Some(asserted) = &self.asserted {
            let signed = assertion(
                asserted.key.pem,
                asserted.key.algorithm,
                asserted.client_id,
                asserted.audience,
                SystemTime::now(),
            )?;
            let mut form = Serializer::new(String::new());
            form.append_pair("client_assertion_type", ASSERTION_TYPE);
            form.append_pair("client_assertion", signed.expose());
            let body = request.body_mut();
            if !body.is_empty() {
                body.push(b'&');
            }
            body.extend_from_slice(form.finish().as_bytes());
        }
        let mut nonce = None;
        if let Some(prover) = self.prover {
            nonce = prover.server_nonce();
            let proof = prover.prove(request.method(), request.uri(), None, nonce.as_ref())?;
            request.headers_mut().insert(HEADER, proof);
        }
        let response = self.web.send(request).await?;
        if let Some(prover) = self.prover {
            prover.hear_server(response.headers());
        }
        Ok((response, nonce))
    }
}

impl<'c> AsyncHttpClient<'c> for Sender<'_> {
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

#[cfg(test)]
mod tests;
