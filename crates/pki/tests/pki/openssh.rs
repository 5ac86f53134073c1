//! The SSH certificates as OpenSSH reads them.

use std::process::Command;

use postern_domain::{Port, Reason};
use postern_pki::{IssuedSsh, Refusal, SshLeaf, VerifiedPeer, judge_gateway};
use postern_sshkey::{PrivateKey, UnverifiedCertificate};

use crate::world::{HOUR, World, reason, relay_host};

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

/// Has `ssh-keygen` sign a certificate of gateway A1 with the authority's key, and judges it.
fn signed_by_openssh(validity: impl Fn(&World) -> String, options: &[&str]) -> Result<VerifiedPeer, Refusal> {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("ca"), world.a.ssh_client.to_sealed_parts().unwrap().expose()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path("ca"), private).unwrap();
    let key = PrivateKey::generate().unwrap();
    std::fs::write(path("key.pub"), key.public_key().to_openssh()).unwrap();
    let a1 = world.a1.to_string();
    let mut command = Command::new("ssh-keygen");
    command
        .arg("-q")
        .arg("-s")
        .arg(path("ca"))
        .args(["-z", "7", "-n", &a1]);
    command
        .arg("-I")
        .arg(format!("gateway:{a1}"))
        .arg("-V")
        .arg(validity(&world))
        .args(options);
    command
        .arg("-O")
        .arg(format!("critical:org@postern={}", world.org_a()));
    command
        .arg("-O")
        .arg(format!("critical:relays@postern={}", world.ra));
    let output = command.arg(path("key.pub")).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line = std::fs::read_to_string(path("key-cert.pub")).unwrap();
    let certificate = UnverifiedCertificate::from_openssh(line.trim())
        .unwrap()
        .verify_signature()
        .unwrap();
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    judge_gateway(&certificate, &a1, world.ra, world.a.owner, &fresh, world.now)
}

fn for_an_hour(world: &World) -> String {
    let (from, until) = (world.now.minus(HOUR), world.now.plus(HOUR));
    format!("{:#x}:{:#x}", from.as_unix_seconds(), until.as_unix_seconds())
}

#[test]
fn a_certificate_made_by_openssh_in_our_form_is_taken() {
    assert!(signed_by_openssh(for_an_hour, &["-O", "clear"]).is_ok());
}

#[test]
fn refuses_the_extensions_that_openssh_adds_by_itself() {
    assert_eq!(
        reason(signed_by_openssh(for_an_hour, &[])),
        Reason::CertificateMalformed
    );
    let terminal = signed_by_openssh(for_an_hour, &["-O", "clear", "-O", "permit-pty"]);
    assert_eq!(reason(terminal), Reason::CertificateMalformed);
}

#[test]
fn refuses_a_certificate_that_never_ends_and_options_of_openssh() {
    let forever = signed_by_openssh(|_| String::from("always:forever"), &["-O", "clear"]);
    assert_eq!(reason(forever), Reason::CertificateMalformed);
    let source = signed_by_openssh(for_an_hour, &["-O", "clear", "-O", "source-address=10.0.0.0/8"]);
    assert_eq!(reason(source), Reason::CriticalOption);
}
