//! TLS on the listener: certificates of clients, and its own renewed.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::support::*;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
struct Pair(String, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    fn certify(&self, name: &str) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair(certificate.pem(), key.serialize_pem())
    }
}

fn put(folder: &Path, pair: &Pair) {
    fs::write(folder.join("key.pem"), &pair.1).expect("a file");
    fs::write(folder.join("cert.pem"), &pair.0).expect("a file");
}

fn address(mux: &Mux) -> SocketAddr {
    let line = mux.logged("listening on https://");
    let address = line
        .split("https://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    address
        .and_then(|address| address.parse().ok())
        .expect("an address")
}

/// What is answered to an `initialize` with this credential, over TLS that trusts
/// `root`, and the common name of the certificate that is shown.
fn begin(
    address: SocketAddr,
    root: &Authority,
    own: Option<&Pair>,
) -> io::Result<(String, Vec<u8>)> {
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
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
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
    let mut stream = StreamOwned::new(session, stream);
    let body = initialize("2025-11-25");
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let shown = stream.conn.peer_certificates().and_then(<[_]>::first);
    let shown = shown.map(|shown| shown.to_vec()).unwrap_or_default();
    Ok((String::from_utf8_lossy(&answer).into_owned(), shown))
}

fn setup(peer: &Peer, folder: &Path, client_ca: Option<&Authority>) -> Setup {
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
