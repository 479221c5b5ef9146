//! `access` as it is configured: a value, which a reload replaces as a whole.

use std::{net::SocketAddr, sync::Arc};

use crate::config::{
    AccessSettings, Config, Door, Environment, KeysSetting, Listen, ListenTransport, PolicySettings,
};

use super::{
    AccessError, Claims, Identity, Known, Peer, Policy, Principal, keys, keys::Keys, peer::Found,
    token::Tokens, users::Users,
};

/// Who may come in, and in which role, by one configuration.
#[derive(Debug)]
pub struct Terms {
    /// Which they are; those of no two times are the same.
    pub(super) number: u64,
    settings: AccessSettings,
    given: PolicySettings,
    policy: Policy,
    pub(super) users: Users,
    /// The API keys, if they are looked at.
    pub(super) keys: Option<Arc<Keys>>,
    /// The access tokens that are taken, if any are.
    pub(super) tokens: Option<Arc<Tokens>>,
    /// Whether over TCP nobody comes in without a credential.
    pub(super) required: bool,
    /// Who launched this mcpmux.
    pub(super) parent: Principal,
}

/// Who sends a request, as far as it was found out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recognised<'a> {
    pub(super) identity: &'a Identity,
    /// The role that its credential names.
    pub(super) role: Option<&'a str>,
    /// What its access token says.
    pub(super) claims: Option<&'a Claims>,
}

impl<'a> Recognised<'a> {
    /// By nothing else than that it is `identity`.
    pub(super) fn by(identity: &'a Identity) -> Self {
        Self {
            identity,
            role: None,
            claims: None,
        }
    }
}

impl Terms {
    /// Those of `config` for an mcpmux that listens as `listen` says, on `addresses`;
    /// what is there `before` and is the same is taken from there. Blocks.
    pub(super) fn of(
        config: &Config,
        listen: &Listen,
        addresses: &[SocketAddr],
        before: Option<&Self>,
    ) -> Result<Self, AccessError> {
        let settings = &config.access;
        let http = listen.transport == ListenTransport::Http;
        let required = settings.keys == KeysSetting::Require || settings.oauth.is_some();
        let tls = listen.tls.as_ref().filter(|_| http);
        let mutual = tls.is_some_and(|tls| tls.client_ca.is_some());
        let reachable = addresses
            .iter()
            .find(|address| !super::is_loopback(**address));
        if let Some(address) =
            reachable.filter(|_| http && !required && !mutual && !settings.insecure)
        {
            return Err(AccessError::Open(*address));
        }
        let keys = match before {
            Some(before) if before.are_keyed_as(settings) => before.keys.clone(),
            _ => keys(settings, http)?,
        };
        let tokens = match (before, &settings.oauth) {
            (Some(before), oauth) if before.settings.oauth == *oauth => before.tokens.clone(),
            (_, Some(oauth)) if http => {
                let address = addresses.first().copied();
                let tokens = Tokens::open(oauth, address, &listen.path, tls.is_some());
                Some(Arc::new(tokens.map_err(AccessError::Setting)?))
            }
            _ => None,
        };
        let policy = Policy::new(&config.policy);
        Ok(Self {
            number: before.map_or(0, |before| before.number) + 1,
            settings: settings.clone(),
            given: config.policy.clone(),
            users: Users::new(&settings.local_users)?,
            keys,
            tokens,
            required,
            parent: principal(&policy, Recognised::by(&Identity::Parent), &Door::Stdio),
            policy,
        })
    }

    /// Whether `config` says the same.
    pub(super) fn are_of(&self, config: &Config) -> bool {
        self.settings == config.access && self.given == config.policy
    }

    fn are_keyed_as(&self, settings: &AccessSettings) -> bool {
        (self.settings.keys == KeysSetting::Off) == (settings.keys == KeysSetting::Off)
            && self.settings.keys_file == settings.keys_file
            // What is required must have a place.
            && (self.keys.is_some() || settings.keys != KeysSetting::Require)
    }

    /// Who `recognised` is, who came in at `door`.
    pub(super) fn principal(&self, recognised: Recognised<'_>, door: &Door) -> Principal {
        principal(&self.policy, recognised, door)
    }

    /// Who `peer` is by its connection alone, if that lets it in.
    pub(super) fn by_connection(&self, peer: &Peer) -> Option<Principal> {
        let known = peer.known.load();
        if known.0 == self.number {
            return known.1.clone();
        }
        let found = match &peer.found {
            Found::User(uid) => self.users.hold(*uid).then_some(Identity::User(*uid)),
            Found::Untold => self.users.are_all().then_some(Identity::Anyone),
            Found::Remote => self.settings.insecure.then_some(Identity::Anyone),
            Found::Certificate(shown) => Some(shown.identity.clone()),
        };
        let known = found.map(|identity| self.principal(Recognised::by(&identity), &peer.door));
        peer.known.store(Arc::new((self.number, known.clone())));
        known
    }
}

/// The keys as `settings` have them, of a listener of HTTP or none.
fn keys(settings: &AccessSettings, http: bool) -> Result<Option<Arc<Keys>>, AccessError> {
    let place = keys::place(settings.keys_file.as_deref(), &Environment::process());
    match place {
        _ if settings.keys == KeysSetting::Off || !http => Ok(None),
        Ok(place) => Ok(Some(Arc::new(Keys::open(place)))),
        Err(error) if settings.keys == KeysSetting::Require => Err(AccessError::Keys(error)),
        Err(_) => Ok(None),
    }
}

fn principal(policy: &Policy, recognised: Recognised<'_>, door: &Door) -> Principal {
    let role = policy.role_of(&Known {
        identity: recognised.identity,
        carried: recognised.role,
        claims: recognised.claims,
        door,
    });
    Principal::new(recognised.identity.clone(), role)
}
