//! `postern-platform`: the control plane as a program. All of it is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use postern_platform::command::{Arguments, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::from(anyhow::Error::from(error))),
    };
    match runtime.block_on(postern_platform::command::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    // There is nobody left to tell if this fails.
    writeln!(std::io::stderr(), "postern-platform: {failure}").ok();
    failure.exit_code()
}
