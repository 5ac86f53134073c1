//! The SSH certificates as OpenSSH reads them.

use std::process::Command;

use postern_domain::Port;
use postern_pki::{IssuedSsh, SshLeaf};

use crate::world::{World, relay_host};

/// What `ssh-keygen -L` says of a certificate, one trimmed line after another.
fn listed(issued: &IssuedSsh) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key-cert.pub");
    std::fs::write(&file, format!("{}\n", issued.line)).unwrap();
    let output = Command::new("ssh-keygen")
        .arg("-L")
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| String::from(line.trim())).collect()
}

#[test]
fn a_gateways_certificate_is_read_by_openssh() {
    let world = World::new();
    let leaf = SshLeaf::Gateway {
        gateway: world.a1,
        organization: world.org_a(),
        relays: vec![world.ra, world.ri],
    };
    let issued = world.issue_ssh(&world.a.ssh_client, &leaf);
    let lines = listed(&issued);
    let says = |text: String| assert!(lines.contains(&text), "{text} in {lines:#?}");
    says(String::from(
        "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
    ));
    says(format!("Key ID: \"gateway:{}\"", world.a1));
    says(format!("Serial: {}", issued.certificate.serial()));
    says(world.a1.to_string());
    says(String::from("Extensions: (none)"));
    let fingerprint = world.a.ssh_client.public_key().fingerprint();
    assert!(
        lines
            .iter()
            .any(|l| l.starts_with("Signing CA: ED25519") && l.contains(&fingerprint))
    );
    for option in ["org@postern", "relays@postern"] {
        assert!(
            lines.iter().any(|l| l.starts_with(option)),
            "{option} in {lines:#?}"
        );
    }
}

#[test]
fn a_relays_certificate_is_read_by_openssh() {
    let world = World::new();
    let leaf = SshLeaf::Relay {
        relay: world.ra,
        host: relay_host(),
        port: Port::new(2222).unwrap(),
    };
    let lines = listed(&world.issue_ssh(&world.a.ssh_server, &leaf));
    for text in [
        "Type: ssh-ed25519-cert-v01@openssh.com host certificate",
        "relay.example.com",
        "relay.example.com:2222",
        "Critical Options: (none)",
        "Extensions: (none)",
    ] {
        assert!(lines.contains(&String::from(text)), "{text} in {lines:#?}");
    }
}
