//! TLS on the listener: certificates of clients, and its own renewed.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::support::*;

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(crate) struct Pair(String, String);

/// A connection over TLS.
pub(crate) struct Line(StreamOwned<ClientConnection, TcpStream>);

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn certify(&self, name: &str) -> Pair {
        self.certify_as(name, 1)
    }

    /// A certificate of this name and number.
    pub(crate) fn certify_as(&self, name: &str, number: u64) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(number));
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair(certificate.pem(), key.serialize_pem())
    }

    /// The list of the certificates that are revoked, by their numbers; good until
    /// this year.
    pub(crate) fn revoke(&self, numbers: &[u64], until: i32) -> String {
        let revoked = numbers.iter().map(|number| RevokedCertParams {
            serial_number: SerialNumber::from(*number),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }
}

pub(crate) fn put(folder: &Path, pair: &Pair) {
    fs::write(folder.join("key.pem"), &pair.1).expect("a file");
    fs::write(folder.join("cert.pem"), &pair.0).expect("a file");
}

pub(crate) fn address(mux: &Mux) -> SocketAddr {
    let line = mux.logged("listening on https://");
    let address = line
        .split("https://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    address
        .and_then(|address| address.parse().ok())
        .expect("an address")
}

/// What is answered to an `initialize`, over TLS that trusts `root`, and the
/// certificate that is shown.
pub(crate) fn begin(
    address: SocketAddr,
    root: &Authority,
    own: Option<&Pair>,
) -> io::Result<(String, Vec<u8>)> {
    let mut line = Line::open(address, root, own)?;
    let answer = line.ask("Connection: close\r\n")?;
    let shown = line.0.conn.peer_certificates().and_then(<[_]>::first);
    Ok((
        answer,
        shown.map(|shown| shown.to_vec()).unwrap_or_default(),
    ))
}

impl Line {
    /// One that trusts `root` and shows `own`.
    pub(crate) fn open(
        address: SocketAddr,
        root: &Authority,
        own: Option<&Pair>,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(root.pem.as_bytes()).expect("a certificate");
        roots.add(root).expect("a root");
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(Pair(certificate, key)) => {
                let certificate =
                    CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .expect("a pair")
            }
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(StreamOwned::new(session, stream)))
    }

    /// Sends an `initialize` with these further lines of headers; the answer as it comes.
    pub(crate) fn ask(&mut self, further: &str) -> io::Result<String> {
        let body = initialize("2025-11-25");
        write!(
            self.0,
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{further}\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        self.answer()
    }

    /// Asks for what is at `path`.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<String> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        self.answer()
    }

    /// Reads an answer whose length is told.
    fn answer(&mut self) -> io::Result<String> {
        let mut answer = String::new();
        loop {
            let mut byte = [0];
            if self.0.read(&mut byte)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.push(char::from(byte[0]));
            if let Some((head, body)) = answer.split_once("\r\n\r\n") {
                let length = head.to_lowercase();
                let length = length.split("content-length: ").nth(1);
                let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
                if length.unwrap_or(0) <= body.len() {
                    return Ok(answer);
                }
            }
        }
    }
}

pub(crate) fn setup(peer: &Peer, folder: &Path, client_ca: Option<&Authority>) -> Setup {
    let mut tls = format!(
        "tls:\n  certificate: {}\n  key: {}",
        folder.join("cert.pem").display(),
        folder.join("key.pem").display()
    );
    if let Some(ca) = client_ca {
        let path = folder.join("ca.pem");
        fs::write(&path, &ca.pem).expect("a file");
        tls += &format!("\n  client_ca: {}", path.display());
    }
    Setup::one("b", peer).listen(&tls)
}

#[test]
fn a_certificate_is_renewed_while_mcpmux_runs() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let peer = Peer::new(legacy(&["t"]));
    put(folder.path(), &ours.certify("first"));
    let mux = setup(&peer, folder.path(), None).start(&[]);
    let address = address(&mux);
    let (answer, first) = begin(address, &ours, None).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    begin(address, &Authority::new(), None).expect_err("another root is not its");

    put(folder.path(), &ours.certify("second"));
    let second = eventually("the new certificate", || {
        let (_, shown) = begin(address, &ours, None).expect("an answer");
        (shown != first).then_some(shown)
    });
    // A file that is broken leaves the one before in place.
    fs::write(folder.path().join("cert.pem"), "nonsense").expect("a file");
    eventually("a warning", || {
        assert_eq!(begin(address, &ours, None).expect("an answer").1, second);
        mux.log().contains("stays in effect").then_some(())
    });
    assert!(mux.log().contains("cert.pem: it holds no certificate"));
    // What is no TLS is no reason to stop.
    let mut plain = TcpStream::connect(address).expect("a connection");
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\n\r\n")
        .expect("sent");
    let _ = plain.read_to_end(&mut Vec::new());
    assert!(begin(address, &ours, None).is_ok());
}

#[test]
fn with_a_client_ca_only_its_certificates_come_in() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let (theirs, others) = (Authority::new(), Authority::new());
    let peer = Peer::new(legacy(&["t"]));
    put(folder.path(), &ours.certify("mcpmux"));
    // Their certificates are what makes an open address a guarded one.
    let mux = setup(&peer, folder.path(), Some(&theirs))
        .address("\"0.0.0.0:0\"")
        .start(&[]);
    let mut address = address(&mux);
    address.set_ip([127, 0, 0, 1].into());
    let (answer, _) = begin(address, &ours, Some(&theirs.certify("alice"))).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    begin(address, &ours, None).expect_err("without one");
    begin(address, &ours, Some(&others.certify("alice"))).expect_err("of another authority");
}

#[test]
fn files_that_are_wrong_are_named() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let peer = Peer::new(legacy(&["t"]));
    let start = || setup(&peer, folder.path(), None).start(&[]);
    let mux = start();
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("cert.pem: No such file");
    let (one, other) = (ours.certify("one"), ours.certify("other"));
    put(folder.path(), &Pair(one.0, other.1));
    let mux = start();
    assert_eq!(mux.ended().code(), Some(78), "the key is another's");
    mux.logged("listen.tls.certificate");
    fs::write(folder.path().join("key.pem"), "nonsense").expect("a file");
    let mux = start();
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("key.pem: it holds no private key");
}
