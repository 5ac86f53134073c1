//! `cargo xtask ci`: every check and every test, one after the other, each with its time.
//!
//! A step that fails does not stop the ones after it, so that one run shows all there is to mend.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Longer than this, and the run says that it has become too slow.
const BUDGET: Duration = Duration::from_secs(20 * 60);

/// A step: its name and the arguments of cargo.
struct Step {
    name: &'static str,
    cargo: &'static [&'static str],
    /// Skipped where cargo does not know the command.
    optional: bool,
}

const fn step(name: &'static str, cargo: &'static [&'static str]) -> Step {
    Step {
        name,
        cargo,
        optional: false,
    }
}

/// The binaries are built before the tests, some of which start them: exactly the default members, as those tests
/// ask for them, so that nothing is left to build within a test's time.
const STEPS: [Step; 7] = [
    step("fmt", &["fmt", "--all", "--check"]),
    step("tidy", &["xtask", "tidy"]),
    step("layers", &["xtask", "layers"]),
    Step {
        name: "deny",
        cargo: &["deny", "--workspace", "check"],
        optional: true,
    },
    step(
        "clippy",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
    ),
    step("build", &["build", "--bins"]),
    step("test", &["test", "--workspace", "--no-fail-fast"]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

struct Done {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// Runs every step and prints the summary. Fails if one of them did.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for step in &STEPS {
        println!("==> {}: cargo {}", step.name, step.cargo.join(" "));
        let begun = now();
        let outcome = perform(root, step)?;
        all.push(Done {
            name: step.name,
            outcome,
            took: begun.elapsed(),
        });
    }
    println!("{}", summary(&all));
    let failed = all.iter().any(|done| done.outcome == Outcome::Failed);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn perform(root: &Path, step: &Step) -> anyhow::Result<Outcome> {
    if step.optional && !known(root, step.cargo) {
        return Ok(Outcome::Skipped);
    }
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(step.cargo)
        .status()?;
    Ok(if status.success() {
        Outcome::Passed
    } else {
        Outcome::Failed
    })
}

/// Tells whether cargo has the command.
fn known(root: &Path, cargo: &[&str]) -> bool {
    let mut probe = Command::new(env!("CARGO"));
    probe.current_dir(root).args(cargo.first()).arg("--version");
    probe
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[allow(
    clippy::disallowed_methods,
    reason = "measures how long a step takes; nothing is decided by it"
)]
fn now() -> Instant {
    Instant::now()
}

fn summary(all: &[Done]) -> String {
    let line = |done: &Done| {
        let outcome = match done.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped: not installed",
        };
        format!(
            "  {:<8} {:>8.1} s  {outcome}\n",
            done.name,
            done.took.as_secs_f64()
        )
    };
    let total: Duration = all.iter().map(|done| done.took).sum();
    let mut text: String = all.iter().map(line).collect();
    text.push_str(&format!("  {:<8} {:>8.1} s", "total", total.as_secs_f64()));
    if total > BUDGET {
        text.push_str("\nwarning: this took longer than 20 minutes; make the slowest step faster");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(outcome: Outcome, seconds: u64) -> Done {
        Done {
            name: "test",
            outcome,
            took: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn says_how_long_each_step_took_and_which_failed() {
        let text = summary(&[
            done(Outcome::Passed, 61),
            done(Outcome::Failed, 2),
            done(Outcome::Skipped, 0),
        ]);
        assert!(
            text.contains("61.0 s  ok") && text.contains("2.0 s  FAILED"),
            "{text}"
        );
        assert!(
            text.contains("skipped: not installed") && text.contains("63.0 s"),
            "{text}"
        );
        assert!(!text.contains("warning"), "{text}");
    }

    #[test]
    fn warns_past_twenty_minutes() {
        assert!(summary(&[done(Outcome::Passed, 1_201)]).contains("longer than 20 minutes"));
        assert!(!summary(&[done(Outcome::Passed, 1_200)]).contains("longer than 20 minutes"));
    }
}
