//! JWTs of a real issuer on loopback: what is good is let in, what is refused is refused by name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afterimage_access::oidc::{Algorithm, ConfigError, FetchError, Issuer, IssuerConfig, KeySource};
use afterimage_access::{Access, LiveFile, Metrics, Reader, Refusal, Role, Token};
use afterimage_event::RecordKey;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const AUDIENCE: &str = "afterimage";

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Pair {
    fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let n = b64(public.modulus().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": "AQAB" })
            }
            Self::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": b64(&point[..32]), "y": b64(&point[32..]) })
            }
            Self::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key().as_ref()) })
            }
        }
    }

    fn jwt(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", b64(&signature))
    }
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An issuer that publishes keys, and counts who asks for them.
#[derive(Clone)]
struct Idp {
    address: SocketAddr,
    keys: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
}

impl Idp {
    async fn start(keys: Vec<Value>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let idp = Self { address, keys: Arc::new(Mutex::new(json!({ "keys": keys }))), asked: Arc::default() };
        let (served, issuer) = (idp.clone(), idp.issuer());
        let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string();
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(|| async { discovery }))
            .route("/elsewhere", get(|| async { axum::response::Redirect::to("/keys") }))
            .route("/large", get(|| async { " ".repeat(1 << 20) }))
            .route(
                "/keys",
                get(|| async move {
                    served.asked.fetch_add(1, Ordering::SeqCst);
                    served.keys.lock().unwrap().to_string()
                }),
            );
        tokio::spawn(async { axum::serve(listener, app).await });
        idp
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn config(&self) -> IssuerConfig {
        IssuerConfig::new(self.issuer(), vec!["other".to_owned(), AUDIENCE.to_owned()])
    }

    /// Claims that are good for an hour.
    fn claims(&self) -> Value {
        json!({ "iss": self.issuer(), "aud": AUDIENCE, "sub": "u-42", "name": "Sam", "email": "sam@example.com",
            "exp": now() + 3_600, "iat": now(), "afterimage_role": "auditor" })
    }
}

fn with(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn access(config: IssuerConfig, file: Option<&Path>) -> Access {
    let file = match file {
        Some(path) => Some(LiveFile::open(path).await.unwrap()),
        None => None,
    };
    Access::new(file, Some(Issuer::new(config).unwrap()), Metrics::register(&prometheus::Registry::new()).unwrap())
}

async fn ask(access: &Access, jwt: &str) -> Result<Reader, Refusal> {
    access.reader(Some(format!("Bearer {jwt}").as_bytes())).await
}

#[tokio::test]
async fn whoever_the_issuer_vouches_for_is_let_in_by_any_kind_of_key() {
    let pairs = [("RS256", Pair::rsa()), ("ES256", Pair::ec()), ("EdDSA", Pair::ed())];
    let idp = Idp::start(pairs.iter().map(|(name, pair)| pair.jwk(name)).collect()).await;
    let access = access(idp.config(), None).await;
    for (alg, pair) in &pairs {
        let claims = with(idp.claims(), json!({ "aud": ["x", AUDIENCE], "exp": now() as f64 + 99.5 }));
        let reader = ask(&access, &pair.jwt(&json!({ "alg": alg, "kid": alg }), &claims)).await.unwrap();
        assert_eq!((reader.id.as_str(), reader.name.as_deref(), reader.role), ("u-42", Some("Sam"), Role::Auditor));
        assert_eq!(reader.email.as_deref(), Some("sam@example.com"));
        // The only key of its kind needs no id.
        assert!(ask(&access, &pair.jwt(&json!({ "alg": alg, "typ": "JWT" }), &claims)).await.is_ok());
    }
    assert_eq!(idp.asked(), 1);
}

#[tokio::test]
async fn every_refusal_is_named() {
    let (pair, other) = (Pair::rsa(), Pair::rsa());
    let idp = Idp::start(vec![pair.jwk("k1"), Pair::ec().jwk("k2")]).await;
    let access = access(idp.config(), None).await;
    let header = json!({ "alg": "RS256", "kid": "k1" });
    let changed = |changes: Value| pair.jwt(&header, &with(idp.claims(), changes));
    for (changes, refusal) in [
        (json!({ "exp": now() - 61 }), Refusal::Expired),
        (json!({ "exp": null }), Refusal::Claims),
        (json!({ "exp": "tomorrow" }), Refusal::Claims),
        (json!({ "nbf": now() + 120 }), Refusal::NotYetValid),
        (json!({ "iat": now() + 120 }), Refusal::NotYetValid),
        (json!({ "iss": "https://evil.example" }), Refusal::Issuer),
        (json!({ "iss": [idp.issuer()] }), Refusal::Issuer),
        (json!({ "iss": format!("{}/", idp.issuer()) }), Refusal::Issuer),
        (json!({ "aud": "billing" }), Refusal::Audience),
        (json!({ "aud": ["billing", "afterimage2"] }), Refusal::Audience),
        (json!({ "aud": null }), Refusal::Audience),
        (json!({ "sub": null }), Refusal::Subject),
        (json!({ "sub": "" }), Refusal::Subject),
        (json!({ "sub": 42 }), Refusal::Subject),
        (json!({ "sub": "x".repeat(256) }), Refusal::Subject),
        (json!({ "afterimage_role": null }), Refusal::NoGrants),
        (json!({ "afterimage_role": "admin" }), Refusal::Claims),
        (json!({ "afterimage_role": "reader" }), Refusal::Claims),
        (json!({ "afterimage_tenants": [] }), Refusal::Claims),
        (json!({ "afterimage_tenants": "*" }), Refusal::Claims),
        (json!({ "afterimage_role": "reader", "afterimage_grants": [{}] }), Refusal::Claims),
        (json!({ "afterimage_role": "reader", "afterimage_grants": [{ "tables": "t" }] }), Refusal::Claims),
        (json!({ "groups": { "a": 1 } }), Refusal::Claims),
    ] {
        assert_eq!(ask(&access, &changed(changes.clone())).await, Err(refusal), "{changes}");
    }
    // Clocks may be a minute apart.
    for changes in [json!({ "exp": now() - 30 }), json!({ "nbf": now() + 30, "iat": now() + 30 })] {
        assert!(ask(&access, &changed(changes)).await.is_ok());
    }

    let good = changed(json!({}));
    assert!(ask(&access, &good).await.is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let forged = b64(with(idp.claims(), json!({ "sub": "root" })).to_string().as_bytes());
    let by = |pair: &Pair, header: Value| pair.jwt(&header, &idp.claims());
    let unsigned = format!("{}.{}.", b64(br#"{"alg":"none"}"#), parts[1]);
    for (jwt, refusal) in [
        (format!("{}.{forged}.{}", parts[0], parts[2]), Refusal::Signature),
        (by(&other, header.clone()), Refusal::Signature),
        (format!("{}.{}.", parts[0], parts[1]), Refusal::Signature),
        (by(&pair, json!({ "alg": "RS256", "kid": "k9" })), Refusal::UnknownKey),
        // The key is another algorithm's.
        (by(&pair, json!({ "alg": "RS256", "kid": "k2" })), Refusal::Algorithm),
        (by(&pair, json!({ "alg": "ES256", "kid": "k1" })), Refusal::Algorithm),
        // Allowed only where it is configured.
        (by(&pair, json!({ "alg": "PS256", "kid": "k1" })), Refusal::Algorithm),
        (by(&pair, json!({ "alg": "RS512", "kid": "k1" })), Refusal::Algorithm),
        (by(&pair, json!({ "alg": "NONE", "kid": "k1" })), Refusal::Algorithm),
        (unsigned, Refusal::Algorithm),
        (by(&pair, json!({ "alg": "RS256", "kid": "k1", "crit": ["exp"] })), Refusal::Malformed),
        (by(&pair, json!({ "alg": "RS256", "kid": "k".repeat(300) })), Refusal::Malformed),
        (format!("{good}.x"), Refusal::Malformed),
        (format!("{}.{}", parts[0], parts[1]), Refusal::Malformed),
        ("a.b.c".to_owned(), Refusal::Malformed),
        (Token::generate().unwrap().reveal().to_owned(), Refusal::UnknownToken),
        (Token::generate().unwrap().reveal()[..40].to_owned(), Refusal::Malformed),
    ] {
        assert_eq!(ask(&access, &jwt).await, Err(refusal), "{jwt}");
    }
    assert_eq!(access.reader(None).await, Err(Refusal::Missing));
}

#[tokio::test]
async fn a_public_key_is_no_secret_of_an_hmac() {
    let pair = Pair::rsa();
    let idp = Idp::start(vec![pair.jwk("k1")]).await;
    let access = access(idp.config(), None).await;
    // What a careless verifier would take for the secret: everything that the issuer publishes of the key.
    let n = pair.jwk("k1")["n"].as_str().unwrap().to_owned();
    for alg in ["HS256", "HS384", "HS512"] {
        let header = b64(json!({ "alg": alg, "kid": "k1" }).to_string().as_bytes());
        let message = format!("{header}.{}", b64(idp.claims().to_string().as_bytes()));
        for secret in [n.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(&n).unwrap()] {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
            let jwt = format!("{message}.{}", b64(aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref()));
            assert_eq!(ask(&access, &jwt).await, Err(Refusal::Algorithm), "{alg}");
        }
    }
}

#[tokio::test]
async fn a_new_key_is_found_and_made_up_ones_are_no_flood_at_the_issuers() {
    let (old, new) = (Pair::ed(), Pair::ed());
    let idp = Idp::start(vec![old.jwk("old")]).await;
    let access = access(idp.config(), None).await;
    let by = |pair: &Pair, kid: &str| pair.jwt(&json!({ "alg": "EdDSA", "kid": kid }), &idp.claims());
    assert!(ask(&access, &by(&old, "old")).await.is_ok());
    assert_eq!(ask(&access, &by(&new, "new")).await, Err(Refusal::UnknownKey));
    *idp.keys.lock().unwrap() = json!({ "keys": [new.jwk("new")] });
    for n in 0..50 {
        assert_eq!(ask(&access, &by(&new, &format!("made-up-{n}"))).await, Err(Refusal::UnknownKey));
    }
    assert_eq!(idp.asked(), 1, "within the pause");
    pass(Duration::from_secs(11)).await;
    assert!(ask(&access, &by(&new, "new")).await.is_ok());
    assert_eq!(ask(&access, &by(&old, "old")).await, Err(Refusal::UnknownKey), "taken back");
    assert_eq!(idp.asked(), 2);
}

#[tokio::test]
async fn keys_hold_for_a_while_when_the_issuer_is_away() {
    let pair = Pair::ec();
    let idp = Idp::start(vec![pair.jwk("k")]).await;
    let access = access(idp.config(), None).await;
    let jwt = pair.jwt(&json!({ "alg": "ES256", "kid": "k" }), &idp.claims());
    assert!(ask(&access, &jwt).await.is_ok());
    *idp.keys.lock().unwrap() = json!("out of order");
    pass(Duration::from_secs(11 * 60)).await;
    assert!(ask(&access, &jwt).await.is_ok(), "old keys are better than none");
    assert_eq!(idp.asked(), 2);
    pass(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(ask(&access, &jwt).await, Err(Refusal::KeysUnavailable));
    *idp.keys.lock().unwrap() = json!({ "keys": [pair.jwk("k")] });
    pass(Duration::from_secs(11)).await;
    assert!(ask(&access, &jwt).await.is_ok());
}

/// Lets time pass for pauses, and not while something is fetched.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn where_keys_come_from_is_checked() {
    let pair = Pair::ed();
    let idp = Idp::start(vec![pair.jwk("k")]).await;
    let jwt = pair.jwt(&json!({ "alg": "EdDSA", "kid": "k" }), &idp.claims());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, idp.keys.lock().unwrap().to_string()).unwrap();
    let at = |path: &str| KeySource::Url(format!("{}{path}", idp.issuer()));
    for keys in [KeySource::File(file), at("/keys"), KeySource::Discovery] {
        assert!(ask(&access(IssuerConfig { keys, ..idp.config() }, None).await, &jwt).await.is_ok());
    }
    for path in ["/nothing", "/elsewhere", "/large", "/.well-known/openid-configuration"] {
        let issuer = Issuer::new(IssuerConfig { keys: at(path), ..idp.config() }).unwrap();
        assert!(issuer.warm_up().await.is_err(), "{path}");
    }
    // An issuer that calls itself something else than it is called here.
    let named = format!("http://localhost:{}", idp.address.port());
    let issuer = Issuer::new(IssuerConfig { issuer: named, ..idp.config() }).unwrap();
    assert!(matches!(issuer.warm_up().await, Err(FetchError::Answer { .. })));
    let config = |change: fn(&mut IssuerConfig)| {
        let mut config = idp.config();
        change(&mut config);
        Issuer::new(config).map(drop)
    };
    assert!(matches!(config(|config| config.audiences.clear()), Err(ConfigError::NoAudience)));
    assert!(matches!(config(|config| config.algorithms.clear()), Err(ConfigError::NoAlgorithm)));
    assert!(matches!(config(|config| config.issuer = "http://id.example".into()), Err(ConfigError::Source(_))));
}

#[tokio::test]
async fn claims_and_groups_say_what_may_be_seen() {
    let pair = Pair::ed();
    let idp = Idp::start(vec![pair.jwk("k")]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.toml");
    let text = r#"
        [[group]]
        name = "support"
        role = "reader"
        tenants = ["acme"]
        grants = [{ table = "orders" }]
        [[group]]
        name = "compliance"
        role = "auditor"
        tenants = ["acme"]"#;
    std::fs::write(&file, text).unwrap();
    let config = IssuerConfig { algorithms: vec![Algorithm::EdDsa], groups_claim: "roles".into(), ..idp.config() };
    let config = IssuerConfig { claim_prefix: "https://acme.example/".into(), ..config };
    let access = access(config, Some(&file)).await;
    let ask = async |changes: Value| {
        let claims = with(idp.claims(), changes);
        ask(&access, &pair.jwt(&json!({ "alg": "EdDSA", "kid": "k" }), &claims)).await
    };
    let sees = |reader: &Reader, tenant: &str, source: &str, table: &str, id: &str| {
        let [tenant, source, table, id] = [tenant, source, table, id].map(str::to_owned);
        reader.grants.allow(&RecordKey { tenant, source, table, record_id: vec![id] })
    };
    assert_eq!(ask(json!({})).await, Err(Refusal::NoGrants), "the claim has another name here");
    assert_eq!(ask(json!({ "roles": ["staff", 7] })).await, Err(Refusal::NoGrants));

    let support = ask(json!({ "roles": ["staff", "support"] })).await.unwrap();
    assert_eq!(support.role, Role::Reader);
    assert!(sees(&support, "acme", "s", "orders", "1"));
    assert!(!sees(&support, "acme", "s", "users", "1") && !sees(&support, "default", "s", "orders", "1"));
    assert!(!sees(&support, "acme", "afterimage", "orders", "1"));

    let auditor = ask(json!({ "roles": "compliance" })).await.unwrap();
    assert_eq!(auditor.role, Role::Auditor);
    assert!(sees(&auditor, "acme", "s", "users", "1") && sees(&auditor, "acme", "afterimage", "orders", "1"));
    assert!(!sees(&auditor, "globex", "s", "users", "1"));

    let own = json!({ "https://acme.example/role": "reader", "https://acme.example/tenants": ["globex"],
        "https://acme.example/grants": [{ "table": "users", "record_id": ["u-42"] }], "roles": ["support"] });
    let own = ask(own).await.unwrap();
    assert!(sees(&own, "globex", "s", "users", "u-42") && sees(&own, "acme", "s", "orders", "1"), "both count");
    assert!(!sees(&own, "globex", "s", "users", "u-43") && !sees(&own, "acme", "s", "users", "u-42"));
}
