//! A small whole world for tests: platform, relay and gateway in this process, on loopback, with the rules and
//! limits as shipped, started in one line:
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! let world = postern_testkit::World::start().await?;
//! # Ok(()) }
//! ```

mod connect;
mod daemon;
mod more;
pub mod parts;
pub mod processes;
pub mod programs;
pub mod raw;
pub mod records;
pub mod state;
mod world;

pub use connect::Connecting;
pub use more::EnrolledGateway;
pub use world::World;
