//! The way to one backend, whatever the transport.

use std::sync::Arc;

use http::HeaderMap;
use tokio_util::task::TaskTracker;

use super::{
    BackendError, ClientEnd, Ear, Exchange, Introduction, Tail,
    command::{CommandLink, Kept},
    http::{Client, HttpLink, SseLink},
};
use crate::{
    config::{BackendSettings, CommandSettings, Environment, HttpSettings, Transport},
    credential::{Credential, Login},
    protocol::{Message, Revision},
};

/// How a backend is reached, and what it takes to be let in.
#[derive(Debug)]
pub(super) enum Way {
    /// By launching it.
    Command(CommandSettings),
    /// At its endpoint, with connections that outlive a link.
    Http(HttpSettings, Credential, Arc<Client>),
    /// The same, by the transport of 2024-11-05.
    Sse(HttpSettings, Credential, Arc<Client>),
}

impl Way {
    /// The way that `settings` describe, with what `login` gives; an error if there is none before the
    /// configuration changes.
    pub(super) fn of(
        settings: &BackendSettings,
        login: Option<Arc<Login>>,
    ) -> Result<Self, String> {
        match &settings.transport {
            Err(unresolved) => Err(unresolved.to_string()),
            Ok(Transport::Command(command)) => Ok(Self::Command(command.clone())),
            Ok(Transport::Http(http)) => Self::over(http, login, Self::Http),
            Ok(Transport::Sse(http)) => Self::over(http, login, Self::Sse),
        }
    }

    /// What its requests carry.
    pub(super) fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Command(_) => None,
            Self::Http(_, credential, _) | Self::Sse(_, credential, _) => Some(credential),
        }
    }

    fn over(
        http: &HttpSettings,
        login: Option<Arc<Login>>,
        way: fn(HttpSettings, Credential, Arc<Client>) -> Self,
    ) -> Result<Self, String> {
        let credential = Credential::new(&http.auth, &Environment::process(), login);
        let client = Arc::new(Client::new(&http.endpoint, http.socket.as_deref())?);
        Ok(way(http.clone(), credential, client))
    }
}

/// A launched process or an HTTP endpoint.
#[derive(Debug)]
pub(crate) enum Link {
    /// Over the stdin and stdout of a child.
    Command(CommandLink),
    /// Over streamable HTTP.
    Http(Arc<HttpLink>),
    /// Over one event stream and POST.
    Sse(SseLink),
}

impl Link {
    /// Launches the process, or gets ready to send requests; for one client
    /// alone, if it is `whose`.
    pub(super) async fn open(
        backend: &Arc<str>,
        way: &Way,
        max_message: usize,
        unasked: Ear,
        keepers: &TaskTracker,
        tail: &Arc<Tail>,
        whose: Option<&Arc<Introduction>>,
    ) -> Result<Self, BackendError> {
        let backend = Arc::clone(backend);
        match way {
            Way::Command(settings) => CommandLink::launch(
                backend,
                settings,
                max_message,
                unasked,
                keepers,
                tail,
                whose.cloned(),
            )
            .await
            .map(Self::Command),
            Way::Http(settings, credential, client) => HttpLink::new(
                backend,
                Arc::clone(client),
                settings,
                credential.clone(),
                max_message,
                unasked,
                whose.cloned(),
            )
            .map(Self::Http),
            Way::Sse(settings, credential, client) => SseLink::open(
                backend,
                Arc::clone(client),
                settings,
                credential.clone(),
                max_message,
                unasked,
                whose.cloned(),
            )
            .map(Self::Sse),
        }
    }

    /// An id for the next request: never used before on this link.
    pub(crate) fn next_id(&self) -> u64 {
        match self {
            Self::Command(link) => link.pipe.next_id(),
            Self::Http(link) => link.next_id(),
            Self::Sse(link) => link.next_id(),
        }
    }

    /// Sends a request that carries `id`, also as its progress token. `headers`
    /// are the `Mcp-*` headers of a modern request, which only HTTP carries.
    /// `client` is its client's end, if it is made for one; only in
    /// the course of such a request may the backend ask something.
    pub(crate) fn request(
        &self,
        id: u64,
        message: &Message,
        headers: HeaderMap,
        client: Option<ClientEnd>,
    ) -> Exchange {
        match self {
            Self::Command(link) => link.pipe.request(id, message, client),
            Self::Http(link) => link.request(id, message, headers, client),
            Self::Sse(link) => link.request(id, message, client),
        }
    }

    /// Sends a notification or a response.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), BackendError> {
        match self {
            Self::Command(link) => link.pipe.send(message).await,
            Self::Http(link) => link.send(message).await,
            Self::Sse(link) => link.send(message).await,
        }
    }

    /// Tells an HTTP link which revision its requests are to be marked with.
    pub(super) fn set_revision(&self, revision: Option<Revision>) {
        if let Self::Http(link) = self {
            link.set_revision(revision);
        }
    }

    /// Where all goes that belongs to no call.
    pub(super) fn ear(&self) -> &Ear {
        match self {
            Self::Command(link) => link.pipe.ear(),
            Self::Http(link) => &link.unasked,
            Self::Sse(link) => link.ear(),
        }
    }

    /// Who keeps its processes, if it has any.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Command(link) => Some(&link.kept),
            Self::Http(_) | Self::Sse(_) => None,
        }
    }

    /// How many sessions there were after the first.
    pub(super) fn sessions(&self) -> u64 {
        match self {
            Self::Command(_) | Self::Sse(_) => 0,
            Self::Http(link) => link.sessions(),
        }
    }

    /// Waits until another session takes the place of the one before.
    pub(super) async fn renewed(&self) {
        match self {
            Self::Command(_) | Self::Sse(_) => std::future::pending().await,
            Self::Http(link) => link.renewed().await,
        }
    }

    /// Waits until the backend is lost, and says why.
    pub(crate) async fn lost(&self) -> Arc<str> {
        match self {
            Self::Command(link) => link.pipe.closed().await,
            Self::Http(link) => link.lost().await,
            Self::Sse(link) => link.lost().await,
        }
    }

    /// Whether the backend is lost already.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Command(link) => link.pipe.is_closed(),
            Self::Http(link) => link.is_lost(),
            Self::Sse(link) => link.is_lost(),
        }
    }

    /// Ends the session, and the process with its group.
    pub(super) async fn end(&self) {
        match self {
            Self::Command(link) => link.end().await,
            Self::Http(link) => link.end().await,
            Self::Sse(link) => link.end(),
        }
    }
}
