//! The settings of `auth.type: oauth`.

use url::Url;

use crate::Secret;

/// How `OAuth` tokens of one backend are had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSettings {
    /// Who consents.
    pub grant: Grant,
    /// The scopes to ask for; those that the server names if empty.
    pub scopes: Vec<String>,
    /// The name shown on the consent screen.
    pub client_name: String,
    /// Whether a browser may be opened.
    pub open_browser: bool,
    /// A loopback port for the redirect, in place of mcpmux's own address.
    pub callback_port: Option<u16>,
    /// The id of a client that was registered by hand.
    pub client_id: Option<Given>,
    /// Its secret.
    pub client_secret: Option<Given>,
    /// The private key that signs for it, PEM.
    pub private_key: Option<Secret>,
    /// The algorithm of that key, if named.
    pub signing_algorithm: Option<String>,
    /// The URL of a Client ID Metadata Document.
    pub client_metadata_url: Option<Url>,
    /// The resource indicator (RFC 8707).
    pub resource: Resource,
    /// Whether the authorization server's metadata may name another issuer.
    pub allow_issuer_mismatch: bool,
    /// Whether tokens are bound to a key.
    pub dpop: Dpop,
}

/// Whether tokens are bound to a key of mcpmux's (`DPoP`, RFC 9449).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dpop {
    /// Where the backend asks for it and its authorization server can.
    Auto,
    /// Always: other tokens are not used.
    Required,
    /// Never.
    Off,
}

/// Who consents to a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// A person, in a browser or on another device.
    AuthorizationCode,
    /// Nobody: the client asks for itself.
    ClientCredentials,
    /// Nobody: the workload that mcpmux is part of has an identity of its own
    /// (RFC 7523, section 2.1).
    JwtBearer {
        /// The JWT that says so; one that a command prints is printed anew for
        /// each token.
        assertion: Given,
    },
    /// Nobody: the organisation's identity provider says who may.
    EnterpriseManaged(Box<IdentityProvider>),
}

/// An organisation's identity provider, and who is logged in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    /// The identity token of the one who is.
    pub identity_token: Given,
    /// Where tokens are exchanged.
    pub place: IdentityPlace,
    /// What mcpmux is to it.
    pub client_id: String,
    /// The secret of that client, if it has one.
    pub client_secret: Option<Secret>,
}

/// Where an identity provider exchanges tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityPlace {
    /// Where its metadata says; this is its issuer, verbatim.
    Issuer(String),
    /// Here.
    TokenEndpoint(Url),
}

impl Grant {
    /// Whether nobody needs to consent.
    pub fn is_unattended(&self) -> bool {
        !matches!(self, Self::AuthorizationCode)
    }

    /// Its name in the document.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer { .. } => "jwt_bearer",
            Self::EnterpriseManaged(_) => "enterprise_managed",
        }
    }
}

/// A value that the document has, or that a command prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The value.
    Value(Secret),
    /// Program and arguments; never empty.
    Command(Vec<String>),
}

/// The resource indicator that is sent (RFC 8707).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The one that the server names, else its endpoint.
    Found,
    /// This one.
    Fixed(String),
    /// None.
    None,
}
