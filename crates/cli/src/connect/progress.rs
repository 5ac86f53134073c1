//! The progress of a session on its way: one line on a terminal, renewed in place and wiped at the end. Elsewhere
//! nothing but what went wrong.

use std::io::{IsTerminal as _, Write as _};

use postern_client::Stage;
use postern_domain::printable;

use crate::say;

/// Moves to the start of the line and wipes it (ECMA-48 CR, EL).
const WIPE: &str = "\r\x1b[2K";

/// Shows how far a session has come.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    resource: String,
    terminal: bool,
}

impl Progress {
    /// Speaks of a resource, by the name that the user gave.
    pub(super) fn new(resource: &str) -> Self {
        Self {
            resource: printable(resource),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows a stage.
    pub(super) fn show(&self, stage: &Stage) {
        let text = format!("{}: {}", self.resource, printable(&stage.to_string()));
        match stage {
            Stage::ClockOff { .. } | Stage::RelayFailed(_) | Stage::AskingAgain => {
                self.done();
                say(&text);
            }
            Stage::Asking
            | Stage::Granted { .. }
            | Stage::Dialling { .. }
            | Stage::Dialled { .. }
            | Stage::RelayVerified
            | Stage::TunnelOpen
            | Stage::GatewayVerified => self.write(&text),
            Stage::Admitted => self.done(),
        }
    }

    /// Wipes the line.
    pub(super) fn done(&self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        if self.terminal {
            let mut out = std::io::stderr().lock();
            // Nobody may be looking.
            write!(out, "{WIPE}{text}").and_then(|()| out.flush()).ok();
        }
    }
}
