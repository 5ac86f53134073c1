//! The two extensions of clients' certificates, in DER.
//!
//! Both are non-critical, below the arc 2.25.[`ARC`] (one random number, chosen once):
//!
//! ```text
//! grant           OBJECT IDENTIFIER ::= { 2 25 8502484613934765828 1 }
//! session-expires OBJECT IDENTIFIER ::= { 2 25 8502484613934765828 2 }
//!
//! Grant ::= SEQUENCE {
//!   version        INTEGER { v1(1) },
//!   kind           ENUMERATED { connect(0), probe(1) },
//!   organization   Id,
//!   project    [0] EXPLICIT Id OPTIONAL,
//!   gateway        Id,
//!   actor          UTF8String,              -- user:<id>, machine_identity:<id>, …
//!   session        Id,
//!   permission     ENUMERATED { connect(0) },
//!   resources      SEQUENCE SIZE (0..32) OF Resource,
//!   sessionExpires Time
//! }
//! Resource ::= SEQUENCE {
//!   id       Id,
//!   host     UTF8String,
//!   port     INTEGER (1..65535),
//!   protocol UTF8String                     -- tcp, postgres, …
//! }
//! SessionExpires ::= Time
//! Id   ::= UTF8String (SIZE (36))           -- UUIDv7 in lower case
//! Time ::= INTEGER                          -- milliseconds since 1970-01-01 UTC
//! ```
//!
//! The decoder takes what the encoder writes and nothing else: whatever it decodes encodes to the same bytes
//! again.

use std::str::FromStr;

use postern_domain::{Grant, GrantKind, GrantedResource, Permission, Port, ProjectId, Protocol, Timestamp};
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, BERReaderSeq, DERWriter, Tag};

use crate::leaf::grant_fault;
use crate::profile::MOST_RESOURCES;

/// The project's arc below 2.25.
pub(crate) const ARC: u64 = 8_502_484_613_934_765_828;

/// The OID of the grant extension.
pub(crate) const GRANT_OID: [u64; 4] = [2, 25, ARC, 1];

/// The OID of the extension with the end of the session.
pub(crate) const SESSION_EXPIRES_OID: [u64; 4] = [2, 25, ARC, 2];

/// The longest grant that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

const VERSION: u64 = 1;

/// A grant cannot be read, or is none that is ever issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the grant cannot be read: {0}")]
pub struct GrantDerError(&'static str);

/// Writes a grant.
#[must_use]
pub fn encode_grant(grant: &Grant) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|seq| {
            seq.next().write_u64(VERSION);
            seq.next().write_enum(match grant.kind {
                GrantKind::Connect => 0,
                GrantKind::Probe => 1,
            });
            write_text(seq.next(), &grant.organization);
            if let Some(project) = &grant.project {
                seq.next()
                    .write_tagged(Tag::context(0), |w| write_text(w, project));
            }
            write_text(seq.next(), &grant.gateway);
            write_text(seq.next(), &grant.actor);
            write_text(seq.next(), &grant.session);
            seq.next().write_enum(match grant.permission {
                Permission::Connect => 0,
            });
            seq.next().write_sequence_of(|list| {
                for resource in &grant.resources {
                    write_resource(list.next(), resource);
                }
            });
            seq.next().write_u64(grant.session_expires.as_millis());
        });
    })
}

fn write_resource(writer: DERWriter<'_>, resource: &GrantedResource) {
    writer.write_sequence(|seq| {
        write_text(seq.next(), &resource.id);
        write_text(seq.next(), &resource.host);
        seq.next().write_u16(resource.port.get());
        write_text(seq.next(), &resource.protocol);
    });
}

fn write_text(writer: DERWriter<'_>, value: &impl ToString) {
    writer.write_utf8_string(&value.to_string());
}

/// Reads a grant, strictly, and holds it against the rules of its kind: a probe has no project and no
/// resources and is the platform's own, any other names a project and 1 to 32 resources.
///
/// # Errors
/// Fails on anything that [`encode_grant`] would not have written for a grant that follows those rules.
pub fn decode_grant(der: &[u8]) -> Result<Grant, GrantDerError> {
    if der.len() > LONGEST {
        return Err(GrantDerError("it is too long"));
    }
    let grant = yasna::parse_der(der, read_grant)
        .map_err(|_| GrantDerError("it is not the DER of a grant, version 1"))?;
    // The reader of the library is lenient here and there; this is not.
    if encode_grant(&grant) != der {
        return Err(GrantDerError("it is not in its one encoding"));
    }
    match grant_fault(&grant) {
        None => Ok(grant),
        Some(fault) => Err(GrantDerError(fault)),
    }
}

fn invalid<T>() -> ASN1Result<T> {
    Err(ASN1Error::new(ASN1ErrorKind::Invalid))
}

fn read_grant(reader: BERReader<'_, '_>) -> ASN1Result<Grant> {
    reader.read_sequence(|seq| {
        if seq.next().read_u64()? != VERSION {
            return invalid();
        }
        let kind = match seq.next().read_enum()? {
            0 => GrantKind::Connect,
            1 => GrantKind::Probe,
            _ => return invalid(),
        };
        Ok(Grant {
            kind,
            organization: read_text(seq)?,
            project: read_project(seq)?,
            gateway: read_text(seq)?,
            actor: read_text(seq)?,
            session: read_text(seq)?,
            permission: match seq.next().read_enum()? {
                0 => Permission::Connect,
                _ => return invalid(),
            },
            resources: read_resources(seq.next())?,
            session_expires: Timestamp::from_millis(seq.next().read_u64()?),
        })
    })
}

fn read_project(seq: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Option<ProjectId>> {
    seq.read_optional(|reader| reader.read_tagged(Tag::context(0), |inner| parse(&inner.read_utf8string()?)))
}

fn read_resources(reader: BERReader<'_, '_>) -> ASN1Result<Vec<GrantedResource>> {
    let mut resources = Vec::new();
    reader.read_sequence_of(|item| {
        if resources.len() == MOST_RESOURCES {
            return invalid();
        }
        resources.push(item.read_sequence(|seq| {
            Ok(GrantedResource {
                id: read_text(seq)?,
                host: read_text(seq)?,
                port: read_port(seq.next())?,
                protocol: read_text::<Protocol>(seq)?,
            })
        })?);
        Ok(())
    })?;
    Ok(resources)
}

fn read_port(reader: BERReader<'_, '_>) -> ASN1Result<Port> {
    let number = reader.read_u16()?;
    Port::new(number).map_or_else(invalid, Ok)
}

fn read_text<T: FromStr>(seq: &mut BERReaderSeq<'_, '_>) -> ASN1Result<T> {
    parse(&seq.next().read_utf8string()?)
}

fn parse<T: FromStr>(text: &str) -> ASN1Result<T> {
    text.parse().or_else(|_| invalid())
}

/// Writes the end of a session.
pub(crate) fn encode_session_expires(time: Timestamp) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_u64(time.as_millis()))
}

/// Reads the end of a session, strictly.
pub(crate) fn decode_session_expires(der: &[u8]) -> Result<Timestamp, GrantDerError> {
    let bad = GrantDerError("the end of the session is not one INTEGER");
    if der.len() > 12 {
        return Err(bad);
    }
    let millis = yasna::parse_der(der, |reader| reader.read_u64()).map_err(|_| bad)?;
    let time = Timestamp::from_millis(millis);
    if encode_session_expires(time) == der {
        Ok(time)
    } else {
        Err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_domain::{Actor, GatewayId, OrganizationId, ResourceId, SessionId, UserId};

    fn grant(resources: usize) -> Grant {
        let now = Timestamp::from_unix_seconds(1_900_000_000);
        let resource = || GrantedResource {
            id: ResourceId::generate(now),
            host: "db.internal".parse().unwrap(),
            port: Port::new(5432).unwrap(),
            protocol: Protocol::Postgres,
        };
        Grant {
            kind: GrantKind::Connect,
            organization: OrganizationId::generate(now),
            project: Some(ProjectId::generate(now)),
            gateway: GatewayId::generate(now),
            actor: Actor::User(UserId::generate(now)),
            session: SessionId::generate(now),
            permission: Permission::Connect,
            resources: (0..resources).map(|_| resource()).collect(),
            session_expires: Timestamp::from_millis(1_900_000_000_123),
        }
    }

    #[test]
    fn grants_round_trip() {
        for count in [1, 2, 32] {
            let grant = grant(count);
            assert_eq!(decode_grant(&encode_grant(&grant)), Ok(grant));
        }
        let mut probe = grant(0);
        probe.kind = GrantKind::Probe;
        probe.actor = Actor::Platform;
        probe.project = None;
        assert_eq!(decode_grant(&encode_grant(&probe)), Ok(probe));
    }

    #[test]
    fn the_longest_grant_fits() {
        let mut grant = grant(32);
        let host = format!("{0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(61));
        for resource in &mut grant.resources {
            resource.host = host.parse().unwrap();
        }
        assert_eq!(decode_grant(&encode_grant(&grant)), Ok(grant));
    }

    #[test]
    fn refuses_what_breaks_the_rules_of_its_kind() {
        let change = |change: &dyn Fn(&mut Grant)| {
            let mut grant = grant(1);
            change(&mut grant);
            decode_grant(&encode_grant(&grant)).is_err()
        };
        assert!(change(&|g| g.resources.clear()));
        assert!(change(&|g| g.resources.extend(grant(32).resources)));
        assert!(change(&|g| g.resources.push(g.resources[0].clone())));
        assert!(change(&|g| g.project = None));
        assert!(change(&|g| g.kind = GrantKind::Probe));
        assert!(change(&|g| {
            g.kind = GrantKind::Probe;
            g.project = None;
            g.resources.clear();
        }));
    }

    #[test]
    fn refuses_every_cut_and_every_further_byte() {
        let der = encode_grant(&grant(2));
        for length in 0..der.len() {
            assert!(decode_grant(&der[..length]).is_err(), "{length}");
        }
        for byte in [0, 0x30, 0xff] {
            assert!(decode_grant(&[&*der, &[byte]].concat()).is_err());
        }
        assert!(decode_grant(&vec![0x30; LONGEST + 1]).is_err());
    }

    #[test]
    fn whatever_is_decoded_has_one_encoding() {
        let der = encode_grant(&grant(2));
        for byte in 0..der.len() {
            for bit in 0..8 {
                let mut bad = der.clone();
                bad[byte] ^= 1 << bit;
                if let Ok(decoded) = decode_grant(&bad) {
                    assert_eq!(encode_grant(&decoded), bad, "byte {byte} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn refuses_lengths_in_a_longer_form_than_needed() {
        // The outer length, written with one byte more than it needs.
        let der = encode_grant(&grant(1));
        assert_eq!(der[..2], [0x30, 0x82]);
        let long = [&[0x30, 0x83, 0][..], &der[2..]].concat();
        assert!(decode_grant(&long).is_err());
        let indefinite = [&[0x30, 0x80][..], &der[4..], &[0, 0]].concat();
        assert!(decode_grant(&indefinite).is_err());
    }

    #[test]
    fn the_end_of_a_session_is_one_integer() {
        let end = Timestamp::from_millis(1_900_000_000_123);
        assert_eq!(decode_session_expires(&encode_session_expires(end)), Ok(end));
        let far = yasna::construct_der(|w| w.write_u64(u64::MAX));
        for bad in [
            &[][..],
            &[2, 0],
            &[2, 1, 0x80],
            &[2, 2, 0, 1],
            &[4, 1, 1],
            &[2, 1, 1, 0],
            &far,
        ] {
            assert!(decode_session_expires(bad).is_err(), "{bad:?}");
        }
    }
}
