//! Judging X.509 certificates. The order is fixed, so that each certificate has one reason for its refusal:
//!
//! 1. it can be read (`certificate_malformed`);
//! 2. the leg's authority issued it, by its own claim (`unknown_authority`; `wrong_authority` if another known
//!    authority signed it, a sibling or a root among them);
//! 3. that authority's key signed it (`bad_signature`);
//! 4. it, its issuer and the root are valid now (`certificate_expired`, `certificate_not_yet_valid`);
//! 5. it is a leaf for exactly this use (`wrong_usage`);
//! 6. its names are right (`wrong_usage` for its unit, `wrong_name`, `wrong_organization`), then gateway, relay
//!    and key (`wrong_gateway`, `wrong_relay`, `key_not_pinned`);
//! 7. its grant is right and its session runs (`grant_missing`, `grant_malformed`, `session_expired`);
//! 8. neither it, nor its key, nor an authority above it was revoked (`revoked`).
//!
//! The path is verified by rustls-webpki, from the leaf over the leg's one issuer to the leg's root; what
//! else the peer presented is never looked at. Only the first certificate counts, the one whose key signed
//! the handshake.

use std::slice;
use std::time::Duration;

use postern_domain::{Reason, Timestamp};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use crate::certificate::Parsed;
use crate::identify::identify;
use crate::peer::{Authority, Certified, VerifiedPeer};
use crate::profile::Usage;
use crate::refusal::{Claimed, Denied, Refusal, deny};
use crate::{FreshTrust, Leg, TlsAnchor};

/// The one algorithm by which certificates are signed.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[webpki::aws_lc_rs::ECDSA_P256_SHA256];

/// Judges a peer by what he presented on this leg. The caller has seen that the key of the first certificate
/// signed the handshake.
///
/// # Errors
/// Says why the certificate is refused; the module's source says in which order.
pub fn judge(
    leg: &Leg,
    presented: &[CertificateDer<'_>],
    trust: &FreshTrust<'_>,
    now: Timestamp,
) -> Result<VerifiedPeer, Refusal> {
    let parsed = read(presented)?;
    judge_parsed(leg, presented, &parsed, trust, now).map_err(|denied| denied.claimed(Claimed::by(&parsed)))
}

/// Checks chain, signature, validity and usage, and nothing of the identity: for the TLS library's verifiers,
/// which can return no proof. [`judge`] follows when the handshake is done.
///
/// # Errors
/// Says why the certificate is refused.
pub fn check_chain(
    leg: &Leg,
    presented: &[CertificateDer<'_>],
    trust: &FreshTrust<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let parsed = read(presented)?;
    chain(leg, presented, &parsed, trust, now)
        .map(|_| ())
        .map_err(|denied| denied.claimed(Claimed::by(&parsed)))
}

fn read<'a>(presented: &'a [CertificateDer<'_>]) -> Result<Parsed<'a>, Refusal> {
    let refuse = |reason, detail| Refusal {
        reason,
        detail,
        claimed: Claimed::default(),
    };
    let leaf = presented
        .first()
        .ok_or_else(|| refuse(Reason::NoCertificate, String::from("the peer presented nothing")))?;
    Parsed::parse(leaf).map_err(|e| refuse(Reason::CertificateMalformed, e.to_string()))
}

fn judge_parsed(
    leg: &Leg,
    presented: &[CertificateDer<'_>],
    parsed: &Parsed<'_>,
    trust: &FreshTrust<'_>,
    now: Timestamp,
) -> Result<VerifiedPeer, Denied> {
    let anchor = chain(leg, presented, parsed, trust, now)?;
    let identified = identify(leg, parsed, anchor, trust.get().instance, now)?;
    let peer = VerifiedPeer::new(
        identified,
        Certified {
            serial: parsed.serial.clone(),
            validity: parsed.validity,
            key: parsed.key,
            issuer: anchor.issuer().pin(),
        },
        Authority {
            owner: anchor.owner(),
            role: anchor.role(),
            root: Some(anchor.root().pin()),
        },
    );
    peer.check_revocation(trust.get(), Some(anchor))?;
    Ok(peer)
}

/// Steps 2 to 5. Returns the anchor under which the leaf stands.
fn chain<'t>(
    leg: &Leg,
    presented: &[CertificateDer<'_>],
    parsed: &Parsed<'_>,
    trust: &FreshTrust<'t>,
    now: Timestamp,
) -> Result<&'t TlsAnchor, Denied> {
    let anchor = authority(leg, parsed, trust)?;
    let path = path(leg, presented, anchor, now);
    // The library looks at validity and usage before signatures. On failure the signature is looked at first,
    // for the sake of the reason; on success there is no need to do it twice.
    if path.is_err() && !anchor.issuer().signed(parsed) {
        return deny(
            Reason::BadSignature,
            format!(
                "{} did not sign this certificate, though it says so",
                anchor.title()
            ),
        );
    }
    validity(parsed, anchor, now)?;
    usage(leg, parsed)?;
    match path {
        Ok(()) => Ok(anchor),
        Err(error) => deny(reason_of(&error), format!("the path does not verify: {error:?}")),
    }
}

/// What the path's failure means where the steps before found nothing. The library's errors are open-ended,
/// and whatever it may add refuses, too.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is the library's, with forty variants, and non-exhaustive"
)]
const fn reason_of(error: &Error) -> Reason {
    match error {
        Error::CertExpired { .. } => Reason::CertificateExpired,
        Error::CertNotValidYet { .. } => Reason::CertificateNotYetValid,
        Error::InvalidSignatureForPublicKey
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Reason::BadSignature,
        Error::CaUsedAsEndEntity | Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            Reason::WrongUsage
        }
        Error::UnknownIssuer => Reason::UnknownAuthority,
        _ => Reason::CertificateMalformed,
    }
}

/// Step 2: finds the leg's authority that the leaf names, or says whose it is.
fn authority<'t>(leg: &Leg, parsed: &Parsed<'_>, trust: &FreshTrust<'t>) -> Result<&'t TlsAnchor, Denied> {
    let trust = trust.get();
    let is_legs = |anchor: &&TlsAnchor| anchor.owner() == leg.owner() && anchor.role() == leg.role();
    let found = trust
        .tls
        .iter()
        .find(|anchor| is_legs(anchor) && anchor.issuer().is_named_by(parsed));
    if let Some(anchor) = found {
        return Ok(anchor);
    }
    let known = trust
        .tls
        .iter()
        .flat_map(|anchor| [anchor.issuer(), anchor.root()]);
    let signer = known
        .filter(|authority| authority.has_the_name_in(parsed))
        .find(|authority| authority.signed(parsed));
    let expected = format!("{} of {}", leg.authority(), leg.owner());
    match signer {
        Some(other) => deny(
            Reason::WrongAuthority,
            format!(
                "{} of {} issued it; expected {expected}",
                other.title(),
                other.owner_id()
            ),
        ),
        None => deny(
            Reason::UnknownAuthority,
            format!("\"{}\" issued it; expected {expected}", parsed.issuer_text()),
        ),
    }
}

/// The path by rustls-webpki: leaf, the leg's issuer, the leg's root, and nothing else.
fn path(
    leg: &Leg,
    presented: &[CertificateDer<'_>],
    anchor: &TlsAnchor,
    now: Timestamp,
) -> Result<(), Error> {
    let leaf = presented.first().ok_or(Error::BadDer)?;
    let leaf = EndEntityCert::try_from(leaf)?;
    let issuers = slice::from_ref(anchor.issuer().der());
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now.as_unix_seconds()));
    let path = leaf.verify_for_usage(
        ALGORITHMS,
        slice::from_ref(anchor.anchor()),
        issuers,
        time,
        Exactly(leg.profile().usage),
        None,
        None,
    )?;
    let mut between = path.intermediate_certificates();
    match (between.next(), between.next()) {
        (Some(one), None) if one.der() == *anchor.issuer().der() => Ok(()),
        (Some(_), _) | (None, _) => Err(Error::UnknownIssuer),
    }
}

/// Demands that a certificate is for one use and no other.
struct Exactly(Option<Usage>);

impl ExtendedKeyUsageValidator for Exactly {
    fn validate(&self, ids: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let wanted: &[usize] = match self.0 {
            Some(Usage::ClientAuth) => webpki::KeyUsage::CLIENT_AUTH_REPR,
            Some(Usage::ServerAuth) => webpki::KeyUsage::SERVER_AUTH_REPR,
            None => return Err(Error::EmptyEkuExtension),
        };
        let mut count = 0;
        for id in ids {
            count += 1;
            if id?.to_decoded_oid() != wanted {
                count += 1;
            }
        }
        if count == 1 {
            Ok(())
        } else {
            Err(Error::EmptyEkuExtension)
        }
    }
}

/// Step 4.
fn validity(parsed: &Parsed<'_>, anchor: &TlsAnchor, now: Timestamp) -> Result<(), Denied> {
    crate::peer::check_validity(parsed.validity, "the certificate", now)?;
    match anchor.out_of_time(now) {
        Some(authority) => crate::peer::check_validity(authority.validity(), authority.title(), now),
        None => Ok(()),
    }
}

/// Step 5.
fn usage(leg: &Leg, parsed: &Parsed<'_>) -> Result<(), Denied> {
    if parsed.is_authority() {
        return deny(Reason::WrongUsage, "it is the certificate of an authority");
    }
    if !parsed.only_signs() {
        return deny(Reason::WrongUsage, "its key usage is not digitalSignature alone");
    }
    if parsed.usage().is_none() || parsed.usage() != leg.profile().usage {
        let wanted = match leg.profile().usage {
            Some(Usage::ClientAuth) => "clientAuth",
            Some(Usage::ServerAuth) | None => "serverAuth",
        };
        return deny(
            Reason::WrongUsage,
            format!("its extended key usage is not {wanted} alone"),
        );
    }
    Ok(())
}
