//! What OpenSSH makes we read, and what we make OpenSSH reads.

#![cfg(test)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use postern_sshkey::{
    CertificateError, CertificateKind, CertificateSpec, KeyError, PrivateKey, PublicKey, SignatureError,
    UnverifiedCertificate, sshsig,
};
use tempfile::TempDir;

/// Every algorithm that we verify, as `ssh-keygen` names it, with its bits.
const ALGORITHMS: [(&str, &str); 4] = [
    ("ed25519", "256"),
    ("ecdsa", "256"),
    ("ecdsa", "384"),
    ("rsa", "2048"),
];

fn keygen(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("ssh-keygen of OpenSSH is needed");
    assert!(
        output.status.success(),
        "ssh-keygen {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn make_key(directory: &Path, name: &str, algorithm: &str, bits: &str) {
    keygen(
        directory,
        &[
            "-q",
            "-t",
            algorithm,
            "-b",
            bits,
            "-N",
            "",
            "-C",
            "a comment",
            "-f",
            name,
        ],
    );
}

fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).unwrap()
}

fn spec(kind: CertificateKind, key: PublicKey) -> CertificateSpec {
    CertificateSpec {
        kind,
        key,
        serial: 0x1234_5678_9abc_def0,
        key_id: "gateway:7".to_owned(),
        principals: vec!["first".to_owned(), "second:22".to_owned()],
        valid_after: 1_700_000_000,
        valid_before: 1_700_086_400,
        critical_options: vec![
            ("relays@postern".to_owned(), "a,b".to_owned()),
            ("org@postern".to_owned(), "c".to_owned()),
        ],
    }
}

#[test]
fn openssh_reads_our_certificates_for_keys_of_every_algorithm() {
    let home = TempDir::new().unwrap();
    let authority = PrivateKey::generate().unwrap();
    for (number, (algorithm, bits)) in ALGORITHMS.into_iter().enumerate() {
        let name = format!("key{number}");
        make_key(home.path(), &name, algorithm, bits);
        let key = PublicKey::from_openssh(&read(home.path(), &format!("{name}.pub"))).unwrap();
        for kind in [CertificateKind::User, CertificateKind::Host] {
            let certificate = spec(kind, key.clone()).sign(&authority).unwrap();
            fs::write(home.path().join("shown-cert.pub"), certificate.to_openssh()).unwrap();
            let shown = keygen(home.path(), &["-L", "-f", "shown-cert.pub"]);
            assert!(shown.contains(&format!("{kind} certificate")), "{shown}");
            assert!(shown.contains(&key.fingerprint()), "{shown}");
            assert!(shown.contains(&format!(
                "Signing CA: ED25519 {}",
                authority.public_key().fingerprint()
            )));
            assert!(shown.contains("Serial: 1311768467463790320"), "{shown}");
            assert!(shown.contains("Key ID: \"gateway:7\""), "{shown}");
            assert!(
                shown.contains("                first\n                second:22\n"),
                "{shown}"
            );
            assert!(shown.contains("org@postern UNKNOWN OPTION"), "{shown}");
            assert!(shown.contains("relays@postern UNKNOWN OPTION"), "{shown}");
            assert!(shown.contains("Extensions: (none)"), "{shown}");
        }
    }
}

#[test]
fn certificates_of_openssh_verify_whatever_algorithm_signed_them() {
    let home = TempDir::new().unwrap();
    make_key(home.path(), "subject", "ed25519", "256");
    for (number, (algorithm, bits)) in ALGORITHMS.into_iter().enumerate() {
        let ca = format!("ca{number}");
        make_key(home.path(), &ca, algorithm, bits);
        keygen(
            home.path(),
            &[
                "-q",
                "-s",
                &ca,
                "-I",
                "someone",
                "-n",
                "one,two",
                "-z",
                "42",
                "-V",
                "20240101Z:20240102Z",
                "-O",
                "force-command=true",
                "-O",
                "source-address=10.0.0.0/8",
                "subject.pub",
            ],
        );
        let line = read(home.path(), "subject-cert.pub");
        let certificate = UnverifiedCertificate::from_openssh(&line)
            .unwrap()
            .verify_signature()
            .unwrap();
        assert_eq!(certificate.kind(), CertificateKind::User);
        assert_eq!(
            certificate.key(),
            &PublicKey::from_openssh(&read(home.path(), "subject.pub")).unwrap()
        );
        assert_eq!(
            certificate.signature_key(),
            &PublicKey::from_openssh(&read(home.path(), &format!("{ca}.pub"))).unwrap()
        );
        assert_eq!(certificate.serial(), 42);
        assert_eq!(certificate.key_id(), "someone");
        assert_eq!(certificate.principals(), ["one", "two"]);
        assert_eq!(certificate.valid_after(), 1_704_067_200);
        assert_eq!(certificate.valid_before(), 1_704_153_600);
        assert_eq!(
            certificate.critical_options(),
            [
                ("force-command".to_owned(), "true".to_owned()),
                ("source-address".to_owned(), "10.0.0.0/8".to_owned())
            ]
        );
        assert!(
            certificate
                .extensions()
                .iter()
                .any(|(name, data)| name == "permit-pty" && data.is_empty())
        );
        assert_eq!(
            certificate.to_openssh(),
            line.rsplit_once(" a comment").unwrap().0
        );
    }
}

#[test]
fn a_host_certificate_is_known_as_one() {
    let home = TempDir::new().unwrap();
    make_key(home.path(), "ca", "ed25519", "256");
    make_key(home.path(), "host", "ecdsa", "256");
    keygen(
        home.path(),
        &[
            "-q",
            "-h",
            "-s",
            "ca",
            "-I",
            "relay",
            "-n",
            "relay.example",
            "host.pub",
        ],
    );
    let certificate = UnverifiedCertificate::from_openssh(&read(home.path(), "host-cert.pub"))
        .unwrap()
        .verify_signature()
        .unwrap();
    assert_eq!(certificate.kind(), CertificateKind::Host);
    assert_eq!(certificate.valid_before(), u64::MAX);
}

#[test]
fn refuses_a_certificate_of_openssh_without_principals() {
    let home = TempDir::new().unwrap();
    make_key(home.path(), "ca", "ed25519", "256");
    make_key(home.path(), "subject", "ed25519", "256");
    keygen(home.path(), &["-q", "-s", "ca", "-I", "anybody", "subject.pub"]);
    assert_eq!(
        UnverifiedCertificate::from_openssh(&read(home.path(), "subject-cert.pub")).unwrap_err(),
        CertificateError::NoPrincipals
    );
}

#[test]
fn refuses_certificates_of_algorithms_and_lengths_that_are_not_allowed() {
    let home = TempDir::new().unwrap();
    make_key(home.path(), "short", "rsa", "1024");
    make_key(home.path(), "wide", "ecdsa", "521");
    make_key(home.path(), "good", "ed25519", "256");
    keygen(
        home.path(),
        &["-q", "-s", "good", "-I", "x", "-n", "x", "wide.pub"],
    );
    assert_eq!(
        UnverifiedCertificate::from_openssh(&read(home.path(), "wide-cert.pub")).unwrap_err(),
        CertificateError::Key(KeyError::Algorithm(
            "ecdsa-sha2-nistp521-cert-v01@openssh.com".to_owned()
        ))
    );
    keygen(
        home.path(),
        &["-q", "-s", "wide", "-I", "x", "-n", "x", "good.pub"],
    );
    assert_eq!(
        UnverifiedCertificate::from_openssh(&read(home.path(), "good-cert.pub")).unwrap_err(),
        CertificateError::SignatureKey(KeyError::Algorithm("ecdsa-sha2-nistp521".to_owned()))
    );
    assert_eq!(
        PublicKey::from_openssh(&read(home.path(), "short.pub")),
        Err(KeyError::Length(1024))
    );
    assert_eq!(
        PublicKey::from_openssh(&read(home.path(), "good-cert.pub")),
        Err(KeyError::Certificate)
    );
}

#[test]
fn refuses_a_certificate_that_an_rsa_key_signed_with_sha1() {
    let home = TempDir::new().unwrap();
    make_key(home.path(), "ca", "rsa", "2048");
    make_key(home.path(), "subject", "ed25519", "256");
    keygen(
        home.path(),
        &[
            "-q",
            "-t",
            "ssh-rsa",
            "-s",
            "ca",
            "-I",
            "x",
            "-n",
            "x",
            "subject.pub",
        ],
    );
    assert_eq!(
        UnverifiedCertificate::from_openssh(&read(home.path(), "subject-cert.pub"))
            .unwrap()
            .verify_signature()
            .unwrap_err(),
        CertificateError::Signature(SignatureError::Algorithm)
    );
}

#[test]
fn openssh_uses_our_private_key_and_we_use_its() {
    let home = TempDir::new().unwrap();
    let ours = PrivateKey::generate().unwrap();
    let file = home.path().join("ours");
    fs::write(&file, ours.to_openssh().unwrap().as_bytes()).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let derived = keygen(home.path(), &["-y", "-f", "ours"]);
    assert_eq!(PublicKey::from_openssh(&derived).unwrap(), *ours.public_key());

    make_key(home.path(), "its", "ed25519", "256");
    let its = PrivateKey::from_openssh(&read(home.path(), "its")).unwrap();
    assert_eq!(
        PublicKey::from_openssh(&read(home.path(), "its.pub")).unwrap(),
        *its.public_key()
    );
}

#[test]
fn refuses_private_keys_that_are_encrypted_or_not_ed25519() {
    let home = TempDir::new().unwrap();
    keygen(
        home.path(),
        &["-q", "-t", "ed25519", "-N", "passphrase", "-f", "locked"],
    );
    make_key(home.path(), "rsa", "rsa", "2048");
    assert_eq!(
        PrivateKey::from_openssh(&read(home.path(), "locked")).unwrap_err(),
        KeyError::Encrypted
    );
    assert_eq!(
        PrivateKey::from_openssh(&read(home.path(), "rsa")).unwrap_err(),
        KeyError::Algorithm("ssh-rsa".to_owned())
    );
}

#[test]
fn openssh_accepts_our_detached_signatures() {
    let home = TempDir::new().unwrap();
    let key = PrivateKey::generate().unwrap();
    fs::write(
        home.path().join("signers"),
        format!("someone {}\n", key.public_key().to_openssh()),
    )
    .unwrap();
    let armored = sshsig::sign(&key, "enroll@postern", b"the message").unwrap();
    fs::write(home.path().join("message.sig"), armored).unwrap();
    for (message, holds) in [("the message", true), ("another message", false)] {
        let mut child = Command::new("ssh-keygen")
            .args([
                "-Y",
                "verify",
                "-f",
                "signers",
                "-I",
                "someone",
                "-n",
                "enroll@postern",
                "-s",
                "message.sig",
            ])
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().success(), holds, "{message}");
    }
}

#[test]
fn we_accept_detached_signatures_of_openssh_by_every_algorithm() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("message"), "the message").unwrap();
    for (number, (algorithm, bits)) in ALGORITHMS.into_iter().enumerate() {
        let name = format!("key{number}");
        make_key(home.path(), &name, algorithm, bits);
        let key = PublicKey::from_openssh(&read(home.path(), &format!("{name}.pub"))).unwrap();
        keygen(
            home.path(),
            &["-q", "-Y", "sign", "-f", &name, "-n", "file", "message"],
        );
        let armored = read(home.path(), "message.sig");
        fs::remove_file(home.path().join("message.sig")).unwrap();
        assert_eq!(
            sshsig::verify(&key, "file", b"the message", &armored),
            Ok(()),
            "{algorithm} {bits}"
        );
        assert_eq!(
            sshsig::verify(&key, "file", b"the massage", &armored),
            Err(SignatureError::Invalid)
        );
        assert_eq!(
            sshsig::verify(&key, "email", b"the message", &armored),
            Err(SignatureError::OtherNamespace)
        );
    }
}
