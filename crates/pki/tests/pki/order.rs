//! A certificate with several faults is refused for the first of them, in the order of the judge.

use postern_domain::Reason;
use postern_pki::Trust;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use crate::forge::{extension, gateway_client, mint, mint_as, moment, name};
use crate::world::{HOUR, World, reason};

fn expired(world: &World, params: &mut CertificateParams) {
    params.not_after = moment(world.now.minus(HOUR));
    params.not_before = moment(world.now.minus(2 * HOUR));
}

fn server(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

fn of_b(world: &World, params: &mut CertificateParams) {
    let organization = world.org_b().to_string();
    params.distinguished_name = name(&organization, Some("gateway-client"), &world.session.to_string());
}

fn revoking_the_key(world: &World, der: &rustls_pki_types::CertificateDer<'_>) -> Trust {
    let mut trust = world.trust();
    trust
        .revoked
        .insert_key(postern_pki::pin_of_certificate(der).unwrap());
    trust
}

#[test]
fn the_first_fault_counts() {
    let world = World::new();
    let g = world.a.gateways();
    let mut params = gateway_client(&world);
    // Everything from the back to the front: the grant, the names, the use, the time, the signature, the
    // authority.
    params.custom_extensions = vec![extension(1, vec![0])];
    let judged = |der: &rustls_pki_types::CertificateDer<'_>| {
        reason(world.judge_with(
            &world.at_gateway(),
            der,
            &revoking_the_key(&world, der),
            world.now,
        ))
    };
    assert_eq!(judged(&mint(&g.client, &params)), Reason::GrantMalformed);
    of_b(&world, &mut params);
    assert_eq!(judged(&mint(&g.client, &params)), Reason::WrongOrganization);
    server(&mut params);
    assert_eq!(judged(&mint(&g.client, &params)), Reason::WrongUsage);
    expired(&world, &mut params);
    assert_eq!(judged(&mint(&g.client, &params)), Reason::CertificateExpired);
    assert_eq!(judged(&mint_as(&g.client, &params)), Reason::BadSignature);
    assert_eq!(judged(&mint(&g.server, &params)), Reason::WrongAuthority);
    assert_eq!(judged(&mint_as(&g.server, &params)), Reason::UnknownAuthority);
}

#[test]
fn a_revoked_certificate_that_is_also_expired_is_expired() {
    let world = World::new();
    let mut params = gateway_client(&world);
    let good = mint(&world.a.gateways().client, &params);
    let trust = revoking_the_key(&world, &good);
    assert_eq!(
        reason(world.judge_with(&world.at_gateway(), &good, &trust, world.now)),
        Reason::Revoked
    );
    expired(&world, &mut params);
    let old = mint(&world.a.gateways().client, &params);
    let trust = revoking_the_key(&world, &old);
    let refused = world.judge_with(&world.at_gateway(), &old, &trust, world.now);
    assert_eq!(reason(refused), Reason::CertificateExpired);
}

#[test]
fn foreign_text_in_a_refusal_cannot_drive_a_terminal() {
    let world = World::new();
    let mut params = gateway_client(&world);
    params.distinguished_name = name(&world.org_a().to_string(), Some("\u{1b}[2J\u{202e}"), "x");
    let refused = world
        .judge(&world.at_gateway(), &mint(&world.a.gateways().client, &params))
        .unwrap_err();
    assert!(!refused.to_string().contains(['\u{1b}', '\u{202e}']), "{refused}");
}
