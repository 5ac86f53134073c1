//! Real parts from Debian packages, started by the test that needs them: on loopback, on ports that the kernel
//! chooses, bounded in time, gone with the value that stands for them.

pub mod command;
pub mod postgres;
pub mod python;
pub mod sshd;
