//! The door for access tokens: whatever a client shows that the issuer has not
//! signed, it does not come in.
//!
//! An input of several lines is a token's header, claims and signature, each to be
//! encoded; any other is the token as it is.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, OnceLock},
    thread,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use mcpmux::{
    Config,
    access::{Access, Peer},
    config::Environment,
};
use tokio::runtime::Runtime;

/// The issuer's key, by which nothing here is signed.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;

pub fn check(input: &[u8]) {
    let parts: Vec<_> = input.splitn(3, |byte| *byte == b'\n').collect();
    let token = match parts.as_slice() {
        [whole] => whole.to_vec(),
        parts => {
            let parts = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part));
            parts.collect::<Vec<_>>().join(".").into_bytes()
        }
    };
    // What is no header does not come this far.
    let Ok(shown) = HeaderValue::from_bytes(&[b"Bearer ", token.as_slice()].concat()) else {
        return;
    };
    let door = door();
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, shown)]);
    let known = door.access.recognise(&door.peer, &headers);
    let Err(denied) = door.runtime.block_on(known) else {
        panic!("it came in");
    };
    assert!(denied.status.is_client_error(), "{denied:?}");
}

/// A mcpmux's door, and somebody of its own user before it.
struct Door {
    runtime: Runtime,
    access: Access,
    peer: Arc<Peer>,
}

fn door() -> &'static Door {
    static DOOR: OnceLock<Door> = OnceLock::new();
    DOOR.get_or_init(|| {
        let issuer = issuer();
        let text = format!(
            "backends: []\naccess:\n  oauth: {{ issuer: \"http://{issuer}\", jwks_uri: \"http://{issuer}/keys\" }}\n"
        );
        let environment: Environment = std::iter::empty::<(&str, &str)>().collect();
        let config = Config::parse(&text, "fuzz", &environment).expect("a configuration");
        let runtime = Runtime::new().expect("a runtime");
        let (access, peer) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0");
            let listener = listener.await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let access = Access::open(&config, &[address], Arc::default()).expect("a door");
            let client = tokio::net::TcpStream::connect(address).await;
            let (stream, _) = listener.accept().await.expect("a connection");
            let peer = access.tcp(&stream).await.expect("it is the same user");
            drop(client);
            (access, Arc::new(peer))
        });
        Door {
            runtime,
            access,
            peer,
        }
    })
}

/// Serves the keys of an issuer for as long as this process lives.
fn issuer() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let length = KEYS.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{KEYS}"
            );
        }
    });
    address
}
