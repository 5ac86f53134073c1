//! Certificates that nobody would issue, by rcgen and by hand.

use postern_domain::{Identity, Timestamp};
use postern_pki::{TlsAuthority, encode_grant};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SigningKey as _,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::world::{HOUR, MINUTE, World};

pub(crate) const ARC: u64 = 8_502_484_613_934_765_828;

/// The attribute type of an organizational unit under another name, so that rcgen writes a second one.
pub(crate) fn second(last_arc: u64) -> DnType {
    DnType::CustomDnType(vec![2, 5, 4, last_arc])
}

pub(crate) fn moment(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.as_unix_seconds().try_into().unwrap()).unwrap()
}

pub(crate) fn name(organization: &str, unit: Option<&str>, common_name: &str) -> DistinguishedName {
    let mut out = DistinguishedName::new();
    out.push(DnType::OrganizationName, organization);
    if let Some(unit) = unit {
        out.push(DnType::OrganizationalUnitName, unit);
    }
    out.push(DnType::CommonName, common_name);
    out
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn leaf(world: &World, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = moment(world.now.minus(5 * MINUTE));
    params.not_after = moment(world.now.plus(HOUR));
    params.serial_number = Some(SerialNumber::from_slice(&[0x41; 16]));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

pub(crate) fn session(world: &World) -> String {
    Identity::Session {
        instance: world.instance,
        organization: world.org_a(),
        session: world.session,
    }
    .to_string()
}

/// A good client certificate of the inner leg, still to be spoilt.
pub(crate) fn gateway_client(world: &World) -> CertificateParams {
    let mut params = leaf(world, ExtendedKeyUsagePurpose::ClientAuth);
    let organization = world.org_a().to_string();
    params.distinguished_name = name(&organization, Some("gateway-client"), &world.session.to_string());
    params.subject_alt_names = vec![uri(&session(world))];
    params.custom_extensions = vec![extension(1, encode_grant(&world.grant()))];
    params
}

/// A good client certificate of the relay leg, still to be spoilt.
pub(crate) fn relay_client(world: &World) -> CertificateParams {
    let mut params = leaf(world, ExtendedKeyUsagePurpose::ClientAuth);
    let organization = world.org_a().to_string();
    params.distinguished_name = name(&organization, Some("relay-client"), &world.a1.to_string());
    params.subject_alt_names = vec![uri(&session(world))];
    params.custom_extensions = vec![session_expires(world.expires())];
    params
}

/// A good gateway certificate, still to be spoilt.
pub(crate) fn gateway_server(world: &World) -> CertificateParams {
    let mut params = leaf(world, ExtendedKeyUsagePurpose::ServerAuth);
    let identity = Identity::Gateway {
        instance: world.instance,
        organization: world.org_a(),
        gateway: world.a1,
    };
    params.distinguished_name = name(&world.org_a().to_string(), Some("gateway"), &world.a1.to_string());
    params.subject_alt_names = vec![uri(&identity.to_string())];
    params
}

/// A good relay certificate, still to be spoilt.
pub(crate) fn relay_server(world: &World) -> CertificateParams {
    let mut params = leaf(world, ExtendedKeyUsagePurpose::ServerAuth);
    let identity = Identity::Relay {
        instance: world.instance,
        scope: world.a.owner,
        relay: world.ra,
    };
    params.distinguished_name = name(&world.org_a().to_string(), Some("relay"), "relay.example.com");
    params.subject_alt_names = vec![
        SanType::DnsName("relay.example.com".try_into().unwrap()),
        uri(&identity.to_string()),
    ];
    params
}

pub(crate) fn extension(last_arc: u64, der: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 25, ARC, last_arc], der)
}

pub(crate) fn session_expires(time: Timestamp) -> CustomExtension {
    extension(2, yasna::construct_der(|w| w.write_u64(time.as_millis())))
}

/// The authority's own key, as whoever stole it would hold it.
pub(crate) fn stolen(authority: &TlsAuthority) -> Issuer<'static, KeyPair> {
    let sealed = authority.to_sealed_parts().unwrap();
    let key = KeyPair::try_from(sealed.expose().as_slice()).unwrap();
    Issuer::from_ca_cert_der(authority.certificate_der(), key).unwrap()
}

/// Signs a leaf for a new key.
pub(crate) fn mint(authority: &TlsAuthority, params: &CertificateParams) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, &stolen(authority)).unwrap().into()
}

/// Signs a leaf in the authority's name, with another key.
pub(crate) fn mint_as(authority: &TlsAuthority, params: &CertificateParams) -> CertificateDer<'static> {
    let impostor =
        Issuer::from_ca_cert_der(authority.certificate_der(), KeyPair::generate().unwrap()).unwrap();
    params
        .signed_by(&KeyPair::generate().unwrap(), &impostor)
        .unwrap()
        .into()
}

/// An authority's certificate in the form that is issued, still to be spoilt.
pub(crate) fn authority(world: &World, title: &str, path_length: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&world.org_a().to_string(), None, title);
    params.not_before = moment(world.now.minus(5 * MINUTE));
    params.not_after = moment(world.now.plus(100_000 * HOUR));
    params.serial_number = Some(SerialNumber::from_slice(&[0x42; 16]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.use_authority_key_identifier_extension = true;
    if path_length == 0 {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
    params
}

/// Changes the signed part of a certificate and signs it again with the authority's key.
pub(crate) fn resign(
    authority: &TlsAuthority,
    der: &CertificateDer<'_>,
    change: impl FnOnce(&mut Vec<u8>),
) -> CertificateDer<'static> {
    let (mut tbs, algorithm) = yasna::parse_der(der, |reader| {
        reader.read_sequence(|seq| {
            let tbs = seq.next().read_der()?;
            let algorithm = seq.next().read_der()?;
            seq.next().read_der()?;
            Ok((tbs, algorithm))
        })
    })
    .unwrap();
    change(&mut tbs);
    let signature = stolen(authority).key().sign(&tbs).unwrap();
    let out = yasna::construct_der(|writer| {
        writer.write_sequence(|seq| {
            seq.next().write_der(&tbs);
            seq.next().write_der(&algorithm);
            seq.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    });
    out.into()
}
