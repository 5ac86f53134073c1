//! Python packages, in an environment of the project's own under `target/`, at pinned versions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Mutex;

use super::command::{command, run};

/// What tests use, pinned.
const PACKAGES: [&str; 3] = ["h2==4.3.0", "hpack==4.1.0", "hyperframe==6.1.0"];

/// One maker at a time within this process; across processes the environment is made aside and moved into place.
static MAKING: Mutex<()> = Mutex::const_new(());

/// Returns the interpreter of the environment, which is made if it is not there yet.
///
/// # Errors
/// Python is not installed, or the packages cannot be had.
pub async fn interpreter() -> anyhow::Result<PathBuf> {
    let _one = MAKING.lock().await;
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    std::fs::create_dir_all(&target)?;
    let target = target.canonicalize()?;
    let place = target.join(format!("python-{}", PACKAGES.join("-").replace("==", "-")));
    let python = place.join("bin/python3");
    if place.join("complete").exists() {
        return Ok(python);
    }
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    let minute = Duration::from_secs(60);
    let mut venv = command("python3");
    venv.args(["-m", "venv"]).arg(&place);
    run(&mut venv, minute)
        .await?
        .success()
        .context("python3 -m venv")?;
    let mut pip = command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES);
    run(&mut pip, 5 * minute)
        .await?
        .success()
        .context("pip install")?;
    std::fs::write(place.join("complete"), "")?;
    Ok(python)
}
