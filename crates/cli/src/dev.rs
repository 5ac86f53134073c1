//! `postern dev`: carried out by `postern-dev`, which lies beside this program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

use crate::args::Dev;

/// Becomes `postern-dev`. Returns only if that cannot be done.
pub(crate) fn run(dev: Dev, json: bool) -> anyhow::Result<()> {
    let here = std::env::current_exe().context("this program's own path is not known")?;
    let sibling = here.with_file_name("postern-dev");
    let mut command = Command::new(&sibling);
    for resource in dev.resource {
        command.arg("--resource").arg(resource);
    }
    if let Some(data) = dev.data {
        command.arg("--data").arg(data);
    }
    for (given, flag) in [(dev.once, "--once"), (json, "--json")] {
        if given {
            command.arg(flag);
        }
    }
    Err(command.exec()).with_context(|| format!("{} cannot be started", sibling.display()))
}
