//! The certificates as openssl reads them.

use std::path::PathBuf;
use std::process::Command;

use postern_domain::{AuthorityRole, Scope};
use postern_pki::{Leaf, TlsAuthority};
use tempfile::TempDir;

use crate::world::World;

/// Runs `openssl verify` on a leaf below issuer and root, at the world's time.
struct Verifier {
    world: World,
    directory: TempDir,
}

impl Verifier {
    fn new() -> Self {
        Self {
            world: World::new(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn verifies(&self, purpose: &str, root: &str, issuer: Option<&str>, leaf: &str) -> bool {
        let mut command = Command::new("openssl");
        command.args(["verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose]);
        command
            .arg("-attime")
            .arg(self.world.now.as_unix_seconds().to_string());
        command.arg("-no-CApath").arg("-no-CAstore");
        command.arg("-CAfile").arg(self.file("root.pem", root));
        if let Some(issuer) = issuer {
            command.arg("-untrusted").arg(self.file("issuer.pem", issuer));
        }
        let output = command.arg(self.file("leaf.pem", leaf)).output().unwrap();
        output.status.success()
    }

    fn leaves(&self) -> Vec<(&'static str, &TlsAuthority, &TlsAuthority, Leaf)> {
        let (w, a) = (&self.world, &self.world.a);
        let g = a.gateways();
        vec![
            ("sslclient", &g.root, &g.client, w.client_leaf()),
            ("sslclient", &a.relay_root, &a.relay_client, w.relay_client_leaf()),
            ("sslserver", &g.root, &g.server, w.gateway_leaf()),
            ("sslserver", &a.relay_root, &a.relay_server, w.relay_leaf()),
        ]
    }
}

#[test]
fn every_leaf_verifies_with_its_root_as_the_only_anchor() {
    let v = Verifier::new();
    for (purpose, root, issuer, leaf) in v.leaves() {
        let issued = v.world.issue(issuer, &leaf);
        let verifies = v.verifies(
            purpose,
            &root.certificate_pem(),
            Some(&issuer.certificate_pem()),
            &issued.pem,
        );
        assert!(verifies, "{leaf:?}");
    }
}

#[test]
fn no_leaf_verifies_for_another_purpose_below_another_root_or_without_its_issuer() {
    let v = Verifier::new();
    let b = v.world.b.gateways();
    for (purpose, root, issuer, leaf) in v.leaves() {
        let issued = v.world.issue(issuer, &leaf);
        let other = if purpose == "sslclient" {
            "sslserver"
        } else {
            "sslclient"
        };
        let (root_pem, issuer_pem) = (root.certificate_pem(), issuer.certificate_pem());
        assert!(
            !v.verifies(other, &root_pem, Some(&issuer_pem), &issued.pem),
            "{leaf:?}"
        );
        assert!(!v.verifies(purpose, &b.root.certificate_pem(), Some(&issuer_pem), &issued.pem));
        assert!(!v.verifies(purpose, &root_pem, None, &issued.pem));
        assert!(!v.verifies(purpose, &root_pem, Some(&b.client.certificate_pem()), &issued.pem));
    }
}

#[test]
fn a_client_authority_cannot_vouch_for_a_server() {
    let v = Verifier::new();
    let g = v.world.a.gateways();
    let server = crate::forge::mint(&g.client, &crate::forge::gateway_server(&v.world));
    let pem = postern_pki::certificate_to_pem(&server);
    assert!(!v.verifies(
        "sslserver",
        &g.root.certificate_pem(),
        Some(&g.client.certificate_pem()),
        &pem
    ));
}

#[test]
fn the_platforms_leaf_verifies_with_the_platform_root() {
    let v = Verifier::new();
    let w = &v.world;
    let root = TlsAuthority::new(
        AuthorityRole::PlatformRoot,
        Scope::Instance,
        w.instance,
        None,
        w.now,
    )
    .unwrap();
    let leaf = Leaf::Platform {
        hosts: vec!["postern.example.com".parse().unwrap()],
    };
    let issued = w.issue(&root, &leaf);
    assert!(v.verifies("sslserver", &root.certificate_pem(), None, &issued.pem));
    assert!(!v.verifies("sslclient", &root.certificate_pem(), None, &issued.pem));
}

#[test]
fn requests_and_keys_are_read_by_openssl() {
    let v = Verifier::new();
    let key = postern_pki::LeafKey::generate().unwrap();
    let csr = v.file("request.pem", &key.csr_pem());
    let verify = Command::new("openssl")
        .args(["req", "-verify", "-noout", "-in"])
        .arg(csr)
        .output()
        .unwrap();
    assert!(
        verify.status.success(),
        "{}",
        String::from_utf8_lossy(&verify.stderr)
    );
    let file = v.file("key.pem", key.to_pem().expose());
    let check = Command::new("openssl")
        .args(["pkey", "-check", "-noout", "-in"])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
}

#[test]
fn a_request_made_by_openssl_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    let made = Command::new("openssl")
        .args([
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-sha256",
        ])
        .args(["-subj", "/CN=whoever"])
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(postern_pki::verify_csr(&String::from_utf8(made.stdout).unwrap()).is_ok());
}
