//! HTTP backends behind TLS and behind a proxy.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use support::{Client, Peer, Setup, legacy};

const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;

/// Ends TLS in front of `peer` with a certificate of its own for `localhost`;
/// gives its port and the certificate as PEM.
fn tls_before(peer: &Peer) -> (u16, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a usable certificate");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let target = peer.address();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, target) = (Arc::clone(&config), target.clone());
            thread::spawn(move || {
                let Ok(session) = ServerConnection::new(config) else {
                    return;
                };
                exchange(&mut StreamOwned::new(session, stream), &target);
            });
        }
    });
    (port, cert.pem())
}

/// Carries requests with a body, one after another, to `target` and the answers
/// back. Each goes over a connection of its own that the peer is asked to close.
fn exchange(client: &mut (impl Read + Write), target: &str) {
    while let Some(request) = request(client) {
        let Ok(mut server) = TcpStream::connect(target) else {
            return;
        };
        let mut answer = Vec::new();
        let carried = server
            .write_all(&request)
            .and_then(|()| server.shutdown(Shutdown::Write))
            .and_then(|()| server.read_to_end(&mut answer))
            .and_then(|_| client.write_all(&answer))
            .and_then(|()| client.flush());
        if carried.is_err() {
            return;
        }
    }
}

/// One request with its body, told to be the last on its connection.
fn request(client: &mut impl Read) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    let cut = head.len() - 2;
    head.splice(cut..cut, *b"connection: close\r\n");
    head.extend(body);
    Some(head)
}

#[test]
fn a_certificate_is_trusted_if_the_system_trusts_it() {
    let peer = Peer::http(legacy(&["t"]));
    let (port, certificate) = tls_before(&peer);
    let backend = format!("name: web\ntransport: http\nendpoint: https://localhost:{port}/mcp");
    let roots = tempfile::NamedTempFile::new().expect("a file");
    fs::write(roots.path(), certificate).expect("written");
    let trusting = Setup::default()
        .raw_backend(&backend)
        .env("SSL_CERT_FILE", &roots.path().display().to_string())
        .serve();
    assert_eq!(
        Client::legacy(&trusting).call("web__t", None).result(),
        DONE
    );

    let peer_saw = peer.connections();
    let doubting = Setup::default().raw_backend(&backend).serve();
    let line = doubting.logged("WARN");
    assert!(
        line.contains("certificate") && line.contains("web"),
        "{line}"
    );
    assert_eq!(
        peer.connections(),
        peer_saw,
        "nothing is sent to who cannot be trusted"
    );
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let peer = Peer::http(legacy(&["t"]));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = proxy.local_addr().expect("an address");
    let (target, seen) = (peer.address(), Arc::clone(&asked));
    thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            let (target, seen) = (target.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                let Some(head) = request(&mut stream) else {
                    return;
                };
                let line = String::from_utf8_lossy(&head)
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                seen.lock().expect("unpoisoned").push(line);
                if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok() {
                    exchange(&mut stream, &target);
                }
            });
        }
    });
    let mux = Setup::default()
        .raw_backend("name: far\ntransport: http\nendpoint: http://mcp.example:81/mcp")
        .env("HTTP_PROXY", &format!("http://{address}"))
        .env("http_proxy", &format!("http://{address}"))
        .env("NO_PROXY", "")
        .env("no_proxy", "")
        .serve();
    assert_eq!(Client::legacy(&mux).call("far__t", None).result(), DONE);
    let asked = asked.lock().expect("unpoisoned");
    assert!(
        asked
            .iter()
            .all(|line| line == "CONNECT mcp.example:81 HTTP/1.1")
            && !asked.is_empty(),
        "{asked:?}"
    );
}
