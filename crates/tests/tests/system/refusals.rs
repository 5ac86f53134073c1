//! Who is refused where: the table of the documentation, cell by cell, against the running daemons, each refusal
//! found on record with its reason. The column "revoked" belongs to revocation's own tests.
//!
//! What must be refused is minted with the authorities of the running platform itself, so that each certificate is
//! right in everything but the one thing that its cell names.

mod authorities;
mod client;
mod gateway_inner;
mod relay_host;
mod relay_ssh;
mod relay_tls;

use std::path::Path;

use anyhow::{Context as _, ensure};
use postern_audit::{Event, Hop, Outcome};
use postern_domain::{Reason, Timestamp};
use postern_fixtures::{Held, Rogue, Signer};
use postern_pki::Leg;
use postern_testkit::records::wait_for_record;

/// What came of the cells of one row. A failure names its cell, and the other cells are looked at all the same.
struct Row {
    listener: &'static str,
    cells: usize,
    failures: Vec<String>,
}

impl Row {
    const fn new(listener: &'static str) -> Self {
        Self {
            listener,
            cells: 0,
            failures: Vec::new(),
        }
    }

    fn cell(&mut self, name: impl std::fmt::Display, came: anyhow::Result<()>) {
        self.cells += 1;
        if let Err(error) = came {
            self.failures
                .push(format!("{} × {name}: {error:#}", self.listener));
        }
    }

    fn finish(self, at_least: usize) -> anyhow::Result<()> {
        ensure!(self.failures.is_empty(), "{}", self.failures.join("\n"));
        ensure!(self.cells >= at_least, "only {} cells", self.cells);
        Ok(())
    }
}

/// Waits for the record of one attempt, known by `is_it`, and holds it against what was expected: a refusal for a
/// reason, or none.
async fn expect_record(
    spool: &Path,
    hop: Hop,
    expected: Option<Reason>,
    is_it: impl Fn(&Event) -> bool,
) -> anyhow::Result<Event> {
    let judged = [Outcome::Allowed, Outcome::Refused];
    let record = wait_for_record(spool, |record| {
        let event = &record.event;
        event.hop == hop && judged.contains(&event.outcome) && is_it(event)
    });
    let event = record.await.context("nothing on record")?.event;
    let outcome = match expected {
        Some(_) => Outcome::Refused,
        None => Outcome::Allowed,
    };
    ensure!(
        (event.outcome, event.reason) == (outcome, expected),
        "expected {expected:?}, recorded {:?} {:?} ({:?})",
        event.outcome,
        event.reason,
        event.detail
    );
    Ok(event)
}

/// Mints the certificate of a cell; the world's clock runs on meanwhile.
fn mint(pki: &postern_fixtures::World, leg: &Leg, rogue: Rogue) -> Held {
    if rogue != Rogue::NotYetValid {
        return pki.rogue(leg, rogue);
    }
    let mut mint = pki.mint(leg);
    mint.validity.not_before = Timestamp::from_unix_seconds(pki.now.as_unix_seconds() + 3600);
    mint.validity.not_after = Timestamp::from_unix_seconds(pki.now.as_unix_seconds() + 7200);
    mint.sign(Signer::Authority(pki.authority(leg)))
}
