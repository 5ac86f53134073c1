//! The platform, as whoever is logged in reaches it.

use postern_agent::{Api, PlatformAddress};
use postern_domain::Secret;
use postern_transport::Clock;

use crate::home::Home;

/// A platform and the token of a login.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The platform's API.
    pub api: Api,
    /// The access token.
    pub token: Secret<String>,
}

impl Remote {
    /// Takes up the login that is kept in `home`.
    ///
    /// # Errors
    /// There is none, or it is over.
    pub fn open(home: &Home, clock: &Clock) -> anyhow::Result<Self> {
        let (login, token) = home.require(clock.now())?;
        let address = PlatformAddress {
            target: login.platform,
            pins: login.pins,
        };
        Ok(Self {
            api: Api::new(address, clock.clone()),
            token,
        })
    }
}
