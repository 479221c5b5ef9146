//! `listen.tls`: TLS on TCP sockets, by rustls over ring, and whether a client's
//! certificate is good (mutual TLS), at its handshake and for as long as it stays.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject,
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate::{Certificate, Judged},
    fresh::Fresh,
};
use crate::config::{Pem, TlsSettings};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// How long a certificate that was found good is taken to be so, unless a file
/// changes.
const GOOD: Duration = Duration::from_secs(10);

/// TLS as it is configured, with the files as they are now.
#[derive(Debug)]
pub(super) struct Tls {
    held: Fresh<Held>,
    mutual: bool,
}

/// What was made of the files.
#[derive(Debug)]
pub(super) struct Held {
    config: Arc<ServerConfig>,
    /// Says whether a client's certificate is good, if they show some.
    judge: Option<Arc<dyn ClientCertVerifier>>,
}

/// Why there is no TLS with somebody.
#[derive(Debug)]
pub(super) enum NoTls {
    /// The handshake failed.
    Failed(String),
    /// It has no certificate that is good.
    Certificate(String),
}

impl Tls {
    /// As `settings` have it. Error: what is wrong, with the file. Blocks.
    pub(super) fn open(settings: &TlsSettings) -> Result<Self, String> {
        let all = [
            Some(&settings.certificate),
            Some(&settings.key),
            settings.client_ca.as_ref(),
            settings.client_crl.as_ref(),
        ];
        let files = all.into_iter().flatten().filter_map(|pem| match pem {
            Pem::File(path) => Some(path.clone()),
            Pem::Text(_) => None,
        });
        let files: Vec<PathBuf> = files.collect();
        let own = settings.clone();
        Ok(Self {
            held: Fresh::open(files, move || hold(&own))?,
            mutual: settings.client_ca.is_some(),
        })
    }

    /// Whether a client must show a certificate.
    pub(super) fn is_mutual(&self) -> bool {
        self.mutual
    }

    /// Shakes hands on `stream`; the certificate that the client shows, if it must.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Option<Certificate>), NoTls> {
        let held = self.held.now().await;
        let acceptor = TlsAcceptor::from(Arc::clone(&held.config));
        let stream = match timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(NoTls::of(&error)),
            Err(_) => {
                let why = format!("it took longer than {} s", PATIENCE.as_secs());
                return Err(NoTls::Failed(why));
            }
        };
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().filter(|_| self.mutual);
        let shown = chain.map(|chain| Certificate::new(chain, &held));
        Ok((stream, shown))
    }

    /// Whether `shown`, which was good, is so still.
    pub(super) async fn vouches(&self, shown: &Certificate) -> bool {
        let held = self.held.now().await;
        let mut judged = shown.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if !judged.is_by(&held) || judged.at.elapsed() > GOOD {
            *judged = Judged::new(&held, held.finds_good(&shown.chain));
        }
        judged.good
    }
}

impl Held {
    fn finds_good(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(judge), [own, others @ ..]) = (&self.judge, chain) else {
            return false;
        };
        judge
            .verify_client_cert(own, others, UnixTime::now())
            .is_ok()
    }
}

impl NoTls {
    fn of(error: &io::Error) -> Self {
        let own = error.get_ref().and_then(|own| own.downcast_ref());
        match own {
            Some(rustls::Error::NoCertificatesPresented) => {
                Self::Certificate("it shows no certificate (listen.tls.client_ca)".to_owned())
            }
            Some(rustls::Error::InvalidCertificate(why)) => {
                Self::Certificate(format!("its certificate is not good: {why}"))
            }
            Some(rustls::Error::InvalidCertRevocationList(why)) => {
                Self::Certificate(format!("listen.tls.client_crl is not good: {why:?}"))
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

fn hold(settings: &TlsSettings) -> Result<Held, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("listen.tls: {error}"))?;
    let judge = settings.client_ca.as_ref().map(|pem| {
        let mut roots = RootCertStore::empty();
        for root in certificates("client_ca", pem)? {
            roots
                .add(root)
                .map_err(|error| wrong("client_ca", pem, &error))?;
        }
        let judge = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let Some(crl) = &settings.client_crl else {
            return judge
                .build()
                .map_err(|error| wrong("client_ca", pem, &error));
        };
        // As other servers have it: a list that is too old says nothing any more.
        judge
            .with_crls(revocations(crl)?)
            .enforce_revocation_expiration()
            .build()
            .map_err(|error| wrong("client_crl", crl, &error))
    });
    let judge = judge.transpose()?;
    let builder = match &judge {
        None => builder.with_no_client_auth(),
        Some(judge) => builder.with_client_cert_verifier(Arc::clone(judge)),
    };
    let chain = certificates("certificate", &settings.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read("key", &settings.key)?)
        .map_err(|_| wrong("key", &settings.key, &"it holds no private key in PEM"))?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong("certificate", &settings.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Held {
        config: Arc::new(config),
        judge,
    })
}

fn revocations(pem: &Pem) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let bytes = read("client_crl", pem)?;
    let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        _ => Err(wrong(
            "client_crl",
            pem,
            &"it holds no certificate revocation list in PEM",
        )),
    }
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
