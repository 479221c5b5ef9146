//! Tests of the address policy, with names that resolve as the test says.

use super::*;

fn url(text: &str) -> Url {
    text.parse().expect("a URL")
}

/// The policy of `endpoint`, where every name resolves to `addresses`.
fn policy(endpoint: &str, addresses: &'static [&'static str]) -> Arc<Policy> {
    Arc::new(Policy::with_lookup(&url(endpoint), move |_| {
        Box::pin(async move {
            let parsed = addresses
                .iter()
                .map(|text| SocketAddr::new(text.parse().expect("an address"), 0));
            Ok(parsed.collect())
        })
    }))
}

async fn asked(policy: &Arc<Policy>, target: &str) -> bool {
    policy.check_all(&url(target)).await.is_ok()
}

async fn resolved(policy: &Arc<Policy>, name: &str) -> Result<Vec<IpAddr>, String> {
    let name = name.parse().expect("a name");
    match Guard(policy.clone()).call(name).await {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_form_of_an_address_is_as_near_as_the_address() {
    let near = [
        ("127.0.0.1", Reach::Loopback),
        ("127.9.9.9", Reach::Loopback),
        ("::1", Reach::Loopback),
        ("::ffff:127.0.0.1", Reach::Loopback),
        ("64:ff9b::127.0.0.1", Reach::Loopback),
        ("2002:7f00:1::", Reach::Loopback),
        ("10.1.2.3", Reach::Private),
        ("172.16.0.1", Reach::Private),
        ("172.31.255.255", Reach::Private),
        ("192.168.1.1", Reach::Private),
        ("100.64.0.1", Reach::Private),
        ("198.18.0.7", Reach::Private),
        ("fd12::1", Reach::Private),
        ("fec0::1", Reach::Private),
        ("64:ff9b:1::1", Reach::Private),
        ("::ffff:10.0.0.1", Reach::Private),
        ("169.254.169.254", Reach::Never),
        ("::ffff:169.254.169.254", Reach::Never),
        ("64:ff9b::a9fe:a9fe", Reach::Never),
        ("fe80::1", Reach::Never),
        ("fd00:ec2::254", Reach::Never),
        ("fd20:ce::254", Reach::Never),
        ("100.100.100.200", Reach::Never),
        ("168.63.129.16", Reach::Never),
        ("192.0.0.192", Reach::Never),
        ("0.0.0.0", Reach::Never),
        ("::", Reach::Never),
        ("224.0.0.1", Reach::Never),
        ("255.255.255.255", Reach::Never),
        ("240.0.0.1", Reach::Never),
        ("ff02::1", Reach::Never),
        ("2001:db8::1", Reach::Never),
        ("3fff::1", Reach::Never),
        ("2001::1", Reach::Never),
        ("203.0.113.9", Reach::Never),
        ("8.8.8.8", Reach::Public),
        ("172.32.0.1", Reach::Public),
        ("100.128.0.1", Reach::Public),
        ("2606:4700::1", Reach::Public),
        ("::ffff:8.8.8.8", Reach::Public),
    ];
    for (text, expected) in near {
        assert_eq!(reach(text.parse().expect("an address")), expected, "{text}");
    }
}

#[tokio::test]
async fn a_backend_names_servers_as_near_as_itself_and_no_nearer() {
    let table = [
        ("http://127.0.0.1:3000/mcp", [true, true, true]),
        ("http://localhost:3000/mcp", [true, true, true]),
        ("https://10.0.0.1/mcp", [false, true, true]),
        ("https://8.8.8.8/mcp", [false, false, true]),
    ];
    for (endpoint, expected) in table {
        let policy = policy(endpoint, &[]);
        let targets = ["https://[::1]/", "https://192.168.0.9/", "https://1.1.1.1/"];
        for (target, expected) in targets.into_iter().zip(expected) {
            assert_eq!(
                asked(&policy, target).await,
                expected,
                "{endpoint} {target}"
            );
        }
        assert_eq!(asked(&policy, "https://app.localhost/").await, expected[0]);
        for never in [
            "https://169.254.169.254/",
            "https://0.0.0.0/",
            "https://[fe80::1]/",
        ] {
            assert!(!asked(&policy, never).await, "{endpoint} {never}");
        }
    }
}

#[tokio::test]
async fn a_name_is_as_near_as_its_farthest_address_but_never_this_machine() {
    let private = policy("https://mcp.corp.example/mcp", &["10.0.0.7", "fd00::7"]);
    assert!(asked(&private, "https://10.9.9.9/").await);
    assert!(!asked(&private, "https://127.0.0.1/").await);

    let mixed = policy("https://mcp.example.com/mcp", &["10.0.0.7", "8.8.8.8"]);
    assert!(!asked(&mixed, "https://10.9.9.9/").await);

    let loopback = policy("https://rebound.example.com/mcp", &["127.0.0.1"]);
    assert!(!asked(&loopback, "https://127.0.0.1/").await);
    assert!(resolved(&loopback, "rebound.example.com").await.is_err());
}

#[tokio::test]
async fn plain_http_is_for_loopback_addresses_only() {
    let near = policy("http://localhost:3000/mcp", &[]);
    assert!(asked(&near, "http://127.0.0.1:9/").await);
    assert!(asked(&near, "http://localhost:9/").await);
    for target in [
        "http://10.0.0.1/",
        "http://as.example.com/",
        "http://1.1.1.1/",
    ] {
        let refusal = near.check(&url(target)).expect_err(target).to_string();
        assert!(refusal.contains("over https"), "{refusal}");
    }
    assert!(!asked(&policy("https://8.8.8.8/", &[]), "http://127.0.0.1:9/").await);
}

#[tokio::test]
async fn what_is_no_web_address_is_refused() {
    let near = policy("http://localhost:3000/mcp", &[]);
    for target in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "ftp://127.0.0.1/",
        "https://user@127.0.0.1/",
        "https://:word@127.0.0.1/",
    ] {
        assert!(!asked(&near, target).await, "{target}");
    }
}

#[tokio::test]
async fn what_a_name_resolves_to_is_judged_where_it_is_connected_to() {
    let public = policy("https://8.8.8.8/mcp", &["127.0.0.1"]);
    assert!(public.check(&url("https://as.example.com/")).is_ok());
    let refusal = resolved(&public, "as.example.com")
        .await
        .expect_err("loopback");
    assert!(refusal.contains("127.0.0.1"), "{refusal}");

    let public = policy("https://8.8.8.8/mcp", &["169.254.169.254", "1.1.1.1"]);
    let kept = resolved(&public, "as.example.com")
        .await
        .expect("one address");
    assert_eq!(kept, ["1.1.1.1".parse::<IpAddr>().expect("an address")]);

    let near = policy("http://localhost/mcp", &["10.0.0.1"]);
    assert!(resolved(&near, "as.example.com").await.is_ok());
    let refusal = resolved(&near, "localhost").await.expect_err("not here");
    assert!(refusal.contains("not this machine"), "{refusal}");
}
