//! Tests of the canonical encoding.

use postern_domain::DaemonId;

use super::*;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn small() -> Record {
    Record {
        key: RecordKey {
            reporter: Reporter::Daemon(DaemonId::Gateway(ID.parse().unwrap())),
            epoch: ID.parse().unwrap(),
            number: 7,
        },
        event: Event::allowed(Hop::GatewayInner, "session.open", Timestamp::from_unix_seconds(1)),
    }
}

fn full() -> Record {
    let mut record = small();
    record.event = Event::refused(
        Hop::Target,
        "stream.open",
        Reason::TargetForbidden,
        Timestamp::MAX,
    )
    .with_detail("quote \" back \\ escape \x1b umlaut ä")
    .with_actor(Actor::MachineIdentity(ID.parse().unwrap()))
    .with_organization(ID.parse::<OrganizationId>().unwrap())
    .with_project(ID.parse::<ProjectId>().unwrap())
    .with_gateway(ID.parse::<GatewayId>().unwrap())
    .with_relay(ID.parse::<RelayId>().unwrap())
    .with_resource(ID.parse::<ResourceId>().unwrap())
    .with_session(ID.parse::<SessionId>().unwrap())
    .with_certificate(Serial::from_be_bytes(&[0xab; 16]))
    .with_source(Source::claimed("[2001:db8::1]:443".parse().unwrap()))
    .with_bytes(u64::MAX, 0)
    .folded(3, Timestamp::from_millis(1), Timestamp::from_millis(2));
    record
}

#[test]
fn a_small_record_has_exactly_these_bytes() {
    let bytes = small().to_canonical();
    let expected = format!(
        r#"{{"action":"session.open","epoch":"{ID}","hop":"gateway_inner","number":7,"outcome":"allowed","reporter":"gateway:{ID}","time":"1970-01-01T00:00:01Z","v":1}}"#
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn members_are_sorted_and_every_member_is_tested() {
    let text = String::from_utf8(full().to_canonical()).unwrap();
    let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut names: Vec<_> = map.keys().collect();
    names.sort();
    assert_eq!(names.len(), 25, "{text}");
    let places: Vec<_> = names
        .iter()
        .map(|n| text.find(&format!("\"{n}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn records_round_trip() {
    for record in [small(), full()] {
        assert_eq!(Record::from_canonical(&record.to_canonical()).unwrap(), record);
    }
}

#[test]
fn the_longest_detail_stays_below_the_limit() {
    let mut record = full();
    record.event = record.event.with_detail(&"\u{202e}".repeat(10_000));
    let bytes = record.to_canonical();
    assert!(bytes.len() < LONGEST, "{}", bytes.len());
    assert_eq!(Record::from_canonical(&bytes).unwrap(), record);
}

#[test]
fn refuses_what_is_never_written() {
    let good = String::from_utf8(full().to_canonical()).unwrap();
    for (from, to) in [
        ("{\"action\"", "{ \"action\""),
        ("\"v\":1", "\"v\":2"),
        ("\"v\":1", "\"v\":1,\"x\":1"),
        ("\"count\":3,", "\"count\":1,"),
        ("\"count\":3,", "\"count\":0,"),
        ("\"action\":\"stream.open\"", "\"action\":\"Stream Open\""),
        ("escape \\\\u{1b}", "escape \\u001b"),
        ("\"number\":7", "\"number\":-7"),
        (
            "\"source\":\"[2001:db8::1]:443\"",
            "\"source\":\"[2001:0db8::1]:443\"",
        ),
        ("\"source\":\"[2001:db8::1]:443\",", ""),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999+00:00"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        assert!(Record::from_canonical(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(matches!(
        Record::from_canonical(&vec![b' '; LONGEST + 1]),
        Err(DecodeError::TooLong)
    ));
}
