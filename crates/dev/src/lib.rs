//! Everything on this machine, to try it: platform, instance relay, one gateway and a built-in private web service,
//! in one process on loopback, with the same rules as anywhere else.

mod command;
mod kept;
mod login;
mod once;
pub mod seed;
mod show;
pub mod stack;
pub mod web;

pub use command::run;
pub use kept::{Credential, Kept};
pub use login::Login;
pub use seed::{Seeded, Wanted};
