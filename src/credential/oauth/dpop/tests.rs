//! Tests: what is signed is verified by other code than what signed it, and what
//! RFC 9449 shows is had.

use jsonwebtoken::{Algorithm, decode_header, jwk::AlgorithmParameters};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;

/// The claims of a proof that is well-formed and signed by the key that it names.
pub(in crate::credential::oauth) fn claims(proof: &HeaderValue) -> Value {
    let proof = proof.to_str().expect("text");
    let header = decode_header(proof).expect("a header");
    assert_eq!(header.typ.as_deref(), Some("dpop+jwt"));
    assert_eq!(header.alg, Algorithm::ES256);
    let AlgorithmParameters::EllipticCurve(key) = header.jwk.expect("a key").algorithm else {
        panic!("no key of an elliptic curve")
    };
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let point = [vec![4], decoded(&key.x), decoded(&key.y)].concat();
    let (message, signature) = proof.rsplit_once('.').expect("a signature");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(message.as_bytes(), &decoded(signature))
        .expect("the key's own signature");
    let (header, claims) = message.split_once('.').expect("claims");
    let header: Value = serde_json::from_slice(&decoded(header)).expect("JSON");
    assert!(header["jwk"].get("d").is_none(), "{header}");
    serde_json::from_slice(&decoded(claims)).expect("JSON")
}

fn prover() -> Prover {
    Prover::new().expect("a key")
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|&(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

#[test]
fn a_proof_is_for_one_request_and_its_token() {
    let prover = prover();
    let uri = Uri::from_static("https://b.example/mcp?secret=1");
    let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU".to_owned());
    let proof = prover.prove(&Method::POST, &uri, Some(&token), None);
    let proof = proof.expect("a proof");
    assert!(proof.is_sensitive());
    let first = claims(&proof);
    assert_eq!(first["htm"], "POST");
    assert_eq!(first["htu"], "https://b.example/mcp");
    // RFC 9449, section 7.1.
    assert_eq!(first["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    assert_eq!(first.get("nonce"), None);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("a time").as_secs();
    assert!(now.abs_diff(first["iat"].as_u64().expect("a time")) < 60);

    let nonce = HeaderValue::from_static("n");
    let second = prover.prove(&Method::GET, &uri, None, Some(&nonce));
    let second = claims(&second.expect("a proof"));
    assert_eq!(second["htm"], "GET");
    assert_eq!(second["nonce"], "n");
    assert_eq!(second.get("ath"), None);
    assert_ne!(first["jti"], second["jti"]);
}

#[test]
fn a_key_is_named_as_rfc_7638_has_it() {
    // The key of RFC 9449, section 4.1, and its thumbprint of section 6.1.
    let jwk = jwk(
        "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    );
    assert_eq!(hashed(&jwk), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn a_key_is_kept_and_shown_to_nobody() {
    let prover = prover();
    let kept = serde_json::to_value(&prover).expect("JSON");
    let again: Prover = serde_json::from_value(kept.clone()).expect("a key");
    assert_eq!(again.thumbprint(), prover.thumbprint());
    let key = kept.as_str().expect("text");
    assert!(!format!("{prover:?}").contains(key));
    assert_ne!(prover.thumbprint(), self::prover().thumbprint());
    for wrong in [json!("@"), json!("AAAA"), json!(1)] {
        assert!(serde_json::from_value::<Prover>(wrong).is_err());
    }
}

#[test]
fn a_backend_that_wants_a_nonce_gets_it_once() {
    const WANTED: (&str, &str) = ("www-authenticate", "DPoP error=\"use_dpop_nonce\"");
    let prover = prover();
    let uri = Uri::from_static("https://b.example/mcp");
    let token = Secret::new("t".to_owned());
    let send = || {
        let sent = prover.prove_to_backend(&Method::POST, &uri, &token);
        let (header, proof) = sent.expect("a proof");
        (claims(&header)["nonce"].clone(), proof)
    };
    let (nonce, first) = send();
    let (_, second) = send();
    assert_eq!(nonce, Value::Null);
    let refused = headers(&[WANTED, ("dpop-nonce", "n")]);
    // Both were sent without.
    assert!(first.heard(StatusCode::UNAUTHORIZED, &refused));
    assert!(second.heard(StatusCode::UNAUTHORIZED, &refused));
    let (nonce, third) = send();
    assert_eq!(nonce, "n");
    assert!(!third.heard(StatusCode::UNAUTHORIZED, &refused));
    // The next nonce may come with any answer.
    assert!(!third.heard(StatusCode::OK, &headers(&[("dpop-nonce", "m")])));
    assert_eq!(send().0, "m");
    assert!(!third.heard(StatusCode::UNAUTHORIZED, &headers(&[WANTED])));
    let expired = headers(&[
        ("www-authenticate", "DPoP error=\"invalid_token\""),
        ("dpop-nonce", "o"),
    ]);
    assert!(!third.heard(StatusCode::UNAUTHORIZED, &expired));
    assert_eq!(prover.server_nonce(), None, "it is the backend's own");
}
