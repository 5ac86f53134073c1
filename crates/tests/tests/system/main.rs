//! Whole-system tests: everything as shipped, real parts as resources, one world for each test.

mod bad_input;
mod damaged;
mod dev;
mod examples;
mod openssh_tunnel;
mod openssl;
mod postgres;
mod processes;
mod refusals;
mod ssh_host;
mod stranger;
mod web;

/// Ends a test that hangs; generous, since machines are shared.
async fn bounded<T>(test: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    match tokio::time::timeout(std::time::Duration::from_secs(240), test).await {
        Ok(done) => done,
        Err(_) => anyhow::bail!("the test did not end in time"),
    }
}
