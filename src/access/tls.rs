//! `listen.tls`: TLS on TCP sockets, by rustls over ring, and who a client's
//! certificate says that it is (mutual TLS).

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use super::{Identity, certificate, fresh::Fresh};
use crate::config::{Pem, TlsSettings};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// TLS as it is configured, with the files as they are now.
#[derive(Debug)]
pub(super) struct Tls {
    config: Fresh<ServerConfig>,
    mutual: bool,
}

impl Tls {
    /// As `settings` have it. Error: what is wrong, with the file. Blocks.
    pub(super) fn open(settings: &TlsSettings) -> Result<Self, String> {
        let all = [
            Some(&settings.certificate),
            Some(&settings.key),
            settings.client_ca.as_ref(),
        ];
        let files = all.into_iter().flatten().filter_map(|pem| match pem {
            Pem::File(path) => Some(path.clone()),
            Pem::Text(_) => None,
        });
        let files: Vec<PathBuf> = files.collect();
        let own = settings.clone();
        Ok(Self {
            config: Fresh::open(files, move || config(&own))?,
            mutual: settings.client_ca.is_some(),
        })
    }

    /// Whether a client must show a certificate.
    pub(super) fn is_mutual(&self) -> bool {
        self.mutual
    }

    /// Shakes hands on `stream`; who the client's certificate says that it is.
    /// `None` if that fails, which is the client's to see.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Option<(TlsStream<TcpStream>, Option<Identity>)> {
        let acceptor = TlsAcceptor::from(self.config.now().await);
        let stream = match timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!("a TLS handshake failed: {error}");
                return None;
            }
            Err(_) => {
                debug!("a TLS handshake took longer than {} s", PATIENCE.as_secs());
                return None;
            }
        };
        let (_, session) = stream.get_ref();
        let own = session.peer_certificates().and_then(<[_]>::first);
        let identity = own
            .filter(|_| self.mutual)
            .map(|own| certificate::identity(own));
        Some((stream, identity))
    }
}

fn config(settings: &TlsSettings) -> Result<ServerConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("listen.tls: {error}"))?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for root in certificates("client_ca", pem)? {
                roots
                    .add(root)
                    .map_err(|error| wrong("client_ca", pem, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|error| wrong("client_ca", pem, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates("certificate", &settings.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read("key", &settings.key)?)
        .map_err(|_| wrong("key", &settings.key, &"it holds no private key in PEM"))?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong("certificate", &settings.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(key: &str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(key, pem)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong(key, pem, &"it holds no certificate in PEM")),
    }
}

fn read(key: &str, pem: &Pem) -> Result<Vec<u8>, String> {
    let path = match pem {
        Pem::Text(text) => return Ok(text.expose().as_bytes().to_vec()),
        Pem::File(path) => path,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .and_then(|read| match read as u64 {
            0..=MAX_FILE => Ok(bytes),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        })
        .map_err(|error| wrong(key, pem, &error))
}

fn wrong(key: &str, pem: &Pem, error: &dyn std::fmt::Display) -> String {
    match pem {
        Pem::File(path) => format!("listen.tls.{key}: {}: {error}", path.display()),
        Pem::Text(_) => format!("listen.tls.{key}: {error}"),
    }
}
