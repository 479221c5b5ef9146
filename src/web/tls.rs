//! TLS as every client speaks it: rustls over ring, the system's roots.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use hyper_rustls::ConfigBuilderExt;
use rustls::{ClientConfig, crypto::ring};

/// TLS with the system's roots, which are read once. Error: they cannot be used.
pub(crate) fn tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let made = || -> io::Result<ClientConfig> {
                let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
                    .with_safe_default_protocol_versions()
                    .map_err(io::Error::other)?
                    .with_native_roots()?
                    .with_no_client_auth();
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
                Ok(config)
            };
            made().map(Arc::new).map_err(|error| {
                format!("the system's root certificates cannot be used ({error}): install ca-certificates")
            })
        })
        .clone()
}
