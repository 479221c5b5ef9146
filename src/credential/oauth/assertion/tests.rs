//! Tests: what is signed is verified by other code than what signed it.

use std::{fs, process::Command};

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Value, json};

use super::*;

/// A private key by `openssl genpkey`, and its public half: the last bytes of
/// the SPKI, which are what `ring` takes.
fn key(arguments: &[&str], public: usize) -> (Secret, Vec<u8>) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("key");
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output();
        let output = output.expect("openssl");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let path = file.to_str().expect("text");
    fs::write(path, run(&[&["genpkey"], arguments].concat())).expect("a file");
    let spki = run(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
    let pem = fs::read_to_string(path).expect("a key");
    (Secret::new(pem), spki[spki.len() - public..].to_vec())
}

fn ec(curve: &str, public: usize) -> (Secret, Vec<u8>) {
    let curve = format!("ec_paramgen_curve:{curve}");
    key(&["-algorithm", "EC", "-pkeyopt", &curve], public)
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn signed(key: &Secret, algorithm: Option<&str>) -> Result<String, AssertionError> {
    let signed = assertion(key, algorithm, "client", "https://as.example.com", now());
    signed.map(|assertion| assertion.expose().to_owned())
}

fn part(assertion: &str, number: usize) -> Vec<u8> {
    let part = assertion.split('.').nth(number).expect("three parts");
    URL_SAFE_NO_PAD.decode(part).expect("base64url")
}

fn verified(assertion: &str, by: &'static dyn VerificationAlgorithm, public: &[u8]) -> bool {
    let (message, _) = assertion.rsplit_once('.').expect("a signature");
    let public = UnparsedPublicKey::new(by, public);
    public
        .verify(message.as_bytes(), &part(assertion, 2))
        .is_ok()
}

fn header(assertion: &str) -> Value {
    serde_json::from_slice(&part(assertion, 0)).expect("JSON")
}

#[test]
fn an_assertion_says_who_asks_whom_and_until_when() {
    let (key, public) = ec("P-256", 65);
    let first = signed(&key, Some("ES256")).expect("an assertion");
    assert_eq!(header(&first), json!({ "typ": "JWT", "alg": "ES256" }));
    let mut claims: Value = serde_json::from_slice(&part(&first, 1)).expect("JSON");
    let id = claims["jti"].take();
    assert_eq!(
        claims,
        json!({
            "iss": "client",
            "sub": "client",
            "aud": "https://as.example.com",
            "jti": null,
            "iat": 1_800_000_000,
            "exp": 1_800_000_300,
        })
    );
    assert!(id.as_str().is_some_and(|id| id.len() == 22), "{id}");
    assert!(verified(&first, &ECDSA_P256_SHA256_FIXED, &public));
    let second = signed(&key, None).expect("an assertion");
    assert_ne!(part(&first, 1), part(&second, 1), "an id of its own");
}

#[test]
fn every_kind_of_key_signs_by_its_own_algorithm() {
    let (p384, public) = ec("P-384", 97);
    let assertion = signed(&p384, None).expect("an assertion");
    assert_eq!(header(&assertion)["alg"], "ES384");
    assert!(verified(&assertion, &ECDSA_P384_SHA384_FIXED, &public));

    let (ed25519, public) = key(&["-algorithm", "ED25519"], 32);
    let assertion = signed(&ed25519, Some("EdDSA")).expect("an assertion");
    assert!(verified(&assertion, &ED25519, &public));

    // SEQUENCE { INTEGER n, INTEGER e }, at the end of the SPKI.
    let (rsa, public) = key(
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        270,
    );
    let assertion = signed(&rsa, None).expect("an assertion");
    assert_eq!(header(&assertion)["alg"], "RS256");
    assert!(verified(&assertion, &RSA_PKCS1_2048_8192_SHA256, &public));
    let assertion = signed(&rsa, Some("PS256")).expect("an assertion");
    assert!(verified(&assertion, &RSA_PSS_2048_8192_SHA256, &public));
}

#[test]
fn what_cannot_sign_is_said_without_the_key() {
    let (p256, _) = ec("P-256", 65);
    for algorithm in ["RS256", "ES384", "HS256", "none", "EdDSA", "x\ny"] {
        let error = signed(&p256, Some(algorithm)).expect_err(algorithm);
        assert!(matches!(error, AssertionError::Algorithm(_)), "{error}");
    }
    for (text, expected) in [
        ("", AssertionError::Key),
        ("s3cret", AssertionError::Key),
        (
            "-----BEGIN CERTIFICATE-----\nczNjcmV0\n-----END CERTIFICATE-----\n",
            AssertionError::Key,
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n",
            AssertionError::Kind,
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\nczNjcmV0\n-----END EC PRIVATE KEY-----\n",
            AssertionError::Key,
        ),
    ] {
        let error = signed(&Secret::new(text.to_owned()), None).expect_err(text);
        assert_eq!(error, expected);
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("czNj"),
            "{shown}"
        );
    }
    let (unknown, _) = ec("P-521", 0);
    assert_eq!(
        signed(&unknown, None).expect_err("P-521"),
        AssertionError::Kind
    );
}
