//! Requests: whose key is certified.

use postern_domain::{InstanceId, Reason};
use postern_pki::{
    DaemonKeys, DaemonKind, LeafKey, RequestError, identity_statement, request_statement, sha256,
    sign_identity_statement, verify_csr, verify_daemon_request, verify_identity_statement,
};
use postern_sshkey::{PrivateKey, sshsig};
use rcgen::{CertificateParams, KeyPair};

use crate::world::World;

#[test]
fn takes_a_request_and_from_it_the_key_alone() {
    let key = LeafKey::generate().unwrap();
    let request = verify_csr(&key.csr_pem()).unwrap();
    assert_eq!((request.pin(), request.tls_key()), (key.pin(), key.spki()));
    assert_eq!(request.csr_digest(), &sha256(key.csr_der()));
    assert!(request.ssh_key().is_none() && request.daemon().is_none());
}

#[test]
fn takes_a_request_that_asks_for_names_and_gives_none_of_them() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![String::from("evil.example.com")]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let request = verify_csr(&csr).unwrap();
    let serial = postern_pki::random_serial().unwrap();
    let authority = &world.a.gateways().client;
    let issued = postern_pki::issue(authority, &world.client_leaf(), &request, &serial, world.now).unwrap();
    assert!(world.judge(&world.at_gateway(), &issued.der).is_ok());
    assert!(!issued.der.windows(4).any(|w| w == b"evil"));
}

#[test]
fn refuses_keys_of_other_kinds() {
    let algorithms = [
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_RSA_SHA256,
    ];
    for algorithm in algorithms {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let csr = CertificateParams::default()
            .serialize_request(&key)
            .unwrap()
            .pem()
            .unwrap();
        assert_eq!(verify_csr(&csr).unwrap_err(), RequestError::KeyKind);
    }
}

#[test]
fn refuses_every_request_with_one_bit_turned() {
    let key = LeafKey::generate().unwrap();
    for byte in 0..key.csr_der().len() {
        let mut bad = key.csr_der().to_vec();
        bad[byte] ^= 1 << (byte % 8);
        assert!(
            verify_csr(&pem("CERTIFICATE REQUEST", &bad)).is_err(),
            "byte {byte}"
        );
    }
}

#[test]
fn refuses_trailing_bytes_other_blocks_and_long_ones() {
    let key = LeafKey::generate().unwrap();
    let mut trailing = key.csr_der().to_vec();
    trailing.push(0);
    let long = [key.csr_der(), &[0; 5000]].concat();
    for bad in [
        pem("CERTIFICATE REQUEST", &trailing),
        pem("CERTIFICATE REQUEST", &long),
        pem("CERTIFICATE", key.csr_der()),
        pem("CERTIFICATE REQUEST", &[]),
        format!("{0}{0}", key.csr_pem()),
        String::new(),
    ] {
        let error = verify_csr(&bad).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidRequest);
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn the_statement_is_what_the_protocol_says() {
    let world = World::new();
    let keys = DaemonKeys::generate().unwrap();
    let digest: String = sha256(keys.tls.csr_der())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let expected = format!("postern enroll v1\n{}\ngateway\n{digest}\n", world.instance);
    let statement = request_statement(world.instance, DaemonKind::Gateway, keys.tls.csr_der());
    assert_eq!(String::from_utf8(statement).unwrap(), expected);
    let identity = identity_statement(world.instance, keys.tls.csr_der());
    assert_eq!(identity.len(), 36 + 1 + 32);
}

#[test]
fn takes_a_daemons_two_keys() {
    let world = World::new();
    for kind in [DaemonKind::Relay, DaemonKind::Gateway] {
        let keys = DaemonKeys::generate().unwrap();
        let sent = keys.requests(world.instance, kind).unwrap();
        let request =
            verify_daemon_request(&sent.csr, &sent.ssh_key, &sent.ssh_proof, world.instance, kind).unwrap();
        assert_eq!(request.daemon(), Some(kind));
        assert_eq!(request.pin(), keys.tls.pin());
        assert_eq!(request.ssh_key(), Some(keys.ssh.public_key()));
        assert!(request.ssh_pin().is_some());
    }
}

#[test]
fn refuses_a_proof_for_another_instance_kind_request_or_key() {
    let world = World::new();
    let kind = DaemonKind::Gateway;
    let keys = DaemonKeys::generate().unwrap();
    let other = DaemonKeys::generate().unwrap();
    let sent = keys.requests(world.instance, kind).unwrap();
    let others = other.requests(world.instance, kind).unwrap();
    let elsewhere = InstanceId::generate(world.now);
    let verify = |csr: &str, key: &str, proof: &str, instance, kind| {
        verify_daemon_request(csr, key, proof, instance, kind).unwrap_err()
    };
    for refused in [
        verify(&sent.csr, &sent.ssh_key, &sent.ssh_proof, elsewhere, kind),
        verify(
            &sent.csr,
            &sent.ssh_key,
            &sent.ssh_proof,
            world.instance,
            DaemonKind::Relay,
        ),
        verify(&others.csr, &sent.ssh_key, &sent.ssh_proof, world.instance, kind),
        verify(&sent.csr, &others.ssh_key, &sent.ssh_proof, world.instance, kind),
        verify(&sent.csr, &sent.ssh_key, &others.ssh_proof, world.instance, kind),
        verify(&sent.csr, &sent.ssh_key, "", world.instance, kind),
        verify(
            &sent.csr,
            &sent.ssh_key,
            &"x".repeat(100_000),
            world.instance,
            kind,
        ),
    ] {
        assert_eq!(refused, RequestError::SshProof);
    }
}

#[test]
fn refuses_a_proof_made_for_another_purpose() {
    let world = World::new();
    let keys = DaemonKeys::generate().unwrap();
    let sent = keys.requests(world.instance, DaemonKind::Gateway).unwrap();
    let statement = request_statement(world.instance, DaemonKind::Gateway, keys.tls.csr_der());
    for namespace in ["identity@postern", "file", "enroll@postern.example"] {
        let proof = sshsig::sign(&keys.ssh, namespace, &statement).unwrap();
        let refused = verify_daemon_request(
            &sent.csr,
            &sent.ssh_key,
            &proof,
            world.instance,
            DaemonKind::Gateway,
        );
        assert_eq!(refused.unwrap_err(), RequestError::SshProof);
    }
}

#[test]
fn refuses_ssh_keys_that_are_none_or_not_ed25519() {
    let world = World::new();
    let keys = DaemonKeys::generate().unwrap();
    let sent = keys.requests(world.instance, DaemonKind::Relay).unwrap();
    let p256 = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5Kq\
                iiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
    for bad in ["", "ssh-ed25519", "ssh-ed25519 AAAA", p256, &"x".repeat(100_000)] {
        let refused =
            verify_daemon_request(&sent.csr, bad, &sent.ssh_proof, world.instance, DaemonKind::Relay)
                .unwrap_err();
        assert_eq!(
            (refused.reason(), refused),
            (Reason::InvalidRequest, RequestError::SshKey)
        );
    }
}

#[test]
fn the_identity_key_speaks_for_one_instance_and_one_request() {
    let world = World::new();
    let identity = PrivateKey::generate().unwrap();
    let (tls, other) = (LeafKey::generate().unwrap(), LeafKey::generate().unwrap());
    let proof = sign_identity_statement(&identity, world.instance, tls.csr_der()).unwrap();
    let line = identity.public_key().to_openssh();
    let verify = |instance, csr: &str, key: &str| verify_identity_statement(key, &proof, instance, csr);
    assert_eq!(
        verify(world.instance, &tls.csr_pem(), &line).as_ref(),
        Ok(identity.public_key())
    );
    let elsewhere = InstanceId::generate(world.now);
    let stranger = PrivateKey::generate().unwrap().public_key().to_openssh();
    for refused in [
        verify(elsewhere, &tls.csr_pem(), &line),
        verify(world.instance, &other.csr_pem(), &line),
        verify(world.instance, &tls.csr_pem(), &stranger),
    ] {
        assert_eq!(refused.unwrap_err(), RequestError::IdentityProof);
    }
}
