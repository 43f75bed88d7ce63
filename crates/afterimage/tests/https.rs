//! The query API behind TLS: a proxy with a certificate of an authority that is made for the test.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use support::{Ended, Running, afterimage, run};
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str, folder: &Path) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join(name), authority.pem()).unwrap();
    authority
}

/// Ends TLS with a certificate for this name, and hands on what comes to the server. The address.
fn proxy(authority: &Authority, name: &str, server: &str) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not trust the certificate goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut server = tokio::net::TcpStream::connect(&server).await.unwrap();
                tokio::io::copy_bidirectional(&mut stream, &mut server).await.ok();
            }
        });
    });
    address
}

fn ask(folder: &Path, url: &str, rest: &[&str], variables: &[(&str, &Path)]) -> Ended {
    let mut command = afterimage(folder);
    command.args(["history", "users", "123", "--api", url]).args(rest).envs(variables.iter().copied());
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn an_api_behind_tls_is_asked_and_only_a_good_certificate_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli-example.ndjson");
    assert_eq!(run(folder.path(), &["replay", example.to_str().unwrap()]).code, 0);
    let direct = run(folder.path(), &["history", "users", "123"]);

    let mut command = afterimage(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut running = Running::start(command);
    let server = running.wait_for("the address", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "answering").then(|| line["listen"].as_str().unwrap().to_owned())
    });
    let ours = authority("ca.pem", folder.path());
    let good = proxy(&ours, "localhost", &server);
    let url = format!("https://localhost:{}", good.port());

    let by_flag = ask(folder.path(), &url, &["--ca-file", "ca.pem"], &[]);
    assert_eq!((by_flag.code, &by_flag.stdout), (0, &direct.stdout), "{}", by_flag.stderr);
    let by_variable = ask(folder.path(), &url, &[], &[("SSL_CERT_FILE", &folder.path().join("ca.pem"))]);
    assert_eq!((by_variable.code, &by_variable.stdout), (0, &direct.stdout), "{}", by_variable.stderr);

    authority("other.pem", folder.path());
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    let other_name = proxy(&ours, "trail.example.com", &server);
    let other_name = format!("https://localhost:{}", other_name.port());
    for (url, file, code, said) in [
        (&url, "other.pem", 1, "signed by no authority that is trusted; --ca-file names others"),
        (&other_name, "ca.pem", 1, "its certificate is not good: certificate not valid for name \"localhost\""),
        (&url, "empty.pem", 64, "--ca-file: empty.pem: holds no certificate"),
        (&url, "missing.pem", 64, "--ca-file: missing.pem"),
    ] {
        let ended = ask(folder.path(), url, &["--ca-file", file], &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{file}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{file}: {}", ended.stderr);
        assert!(code == 64 || ended.stderr.contains(url), "the address is not named: {}", ended.stderr);
    }
}
