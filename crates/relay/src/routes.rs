//! Which tunnel leads to which gateway.
//!
//! One table, one owner. A gateway has at most two tunnels here: the newest takes new streams at once, the
//! elder drains; one more closes the eldest. A lease holds an entry; it is given back by generation, so a late
//! goodbye of an old tunnel never removes a newer one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_domain::{GatewayId, OrganizationId, Reason};

/// At most so many tunnels of one gateway.
const TUNNELS_PER_GATEWAY: usize = 2;

/// What a route leads to: a handle on a live tunnel.
pub(crate) trait Route: Clone + Send + 'static {
    /// Returns whether streams can still be opened.
    fn is_open(&self) -> bool;

    /// Ends the tunnel and every stream in it.
    fn close(&self, reason: Reason);
}

/// The table.
#[derive(Debug)]
pub(crate) struct Routes<R> {
    table: Arc<Mutex<Table<R>>>,
}

impl<R> Clone for Routes<R> {
    fn clone(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
        }
    }
}

#[derive(Debug)]
struct Table<R> {
    gateways: HashMap<GatewayId, Vec<Entry<R>>>,
    /// How many of the gateways are of each organization.
    organizations: HashMap<OrganizationId, usize>,
    next_generation: u64,
    most_gateways: usize,
    most_of_one: usize,
}

impl<R> Table<R> {
    /// Says whether another gateway of an organization has a place.
    fn has_room(&self, organization: OrganizationId) -> bool {
        let of_one = self.organizations.get(&organization).copied().unwrap_or_default();
        self.gateways.len() < self.most_gateways && of_one < self.most_of_one
    }

    /// Takes out one tunnel, and the gateway with its last one.
    fn remove(&mut self, gateway: GatewayId, generation: u64) {
        let Some(entries) = self.gateways.get_mut(&gateway) else {
            return;
        };
        let owner = entries.first().map(|entry| entry.organization);
        entries.retain(|entry| entry.generation != generation);
        if !entries.is_empty() {
            return;
        }
        self.gateways.remove(&gateway);
        if let Some(owner) = owner
            && let Some(count) = self.organizations.get_mut(&owner)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.organizations.remove(&owner);
            }
        }
    }
}

#[derive(Debug)]
struct Entry<R> {
    generation: u64,
    organization: OrganizationId,
    route: R,
}

/// The place of one tunnel in the table; dropped, it gives up that tunnel's place and no other's.
#[derive(Debug)]
pub(crate) struct Lease<R: Route> {
    routes: Routes<R>,
    gateway: GatewayId,
    generation: u64,
}

impl<R: Route> Drop for Lease<R> {
    fn drop(&mut self) {
        self.routes.lock().remove(self.gateway, self.generation);
    }
}

impl<R: Route> Routes<R> {
    /// Makes an empty table for at most `most_gateways` gateways, and at most `most_of_one` of one organization.
    pub(crate) fn new(most_gateways: usize, most_of_one: usize) -> Self {
        let table = Table {
            gateways: HashMap::new(),
            organizations: HashMap::new(),
            next_generation: 0,
            most_gateways,
            most_of_one,
        };
        Self {
            table: Arc::new(Mutex::new(table)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table<R>> {
        // A panic while the lock was held would leave the table whole: every change is one call on a map.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a tunnel as its gateway's newest. The eldest of three is closed.
    ///
    /// # Errors
    /// The table is full, or the organization has its share of it.
    pub(crate) fn register(
        &self,
        gateway: GatewayId,
        organization: OrganizationId,
        route: R,
    ) -> Result<Lease<R>, Reason> {
        let (generation, closed) = {
            let mut table = self.lock();
            if !table.gateways.contains_key(&gateway) {
                if !table.has_room(organization) {
                    return Err(Reason::OverQuota);
                }
                *table.organizations.entry(organization).or_default() += 1;
            }
            let generation = table.next_generation;
            table.next_generation += 1;
            let entries = table.gateways.entry(gateway).or_default();
            entries.push(Entry {
                generation,
                organization,
                route,
            });
            let closed = (entries.len() > TUNNELS_PER_GATEWAY).then(|| entries.remove(0));
            (generation, closed)
        };
        if let Some(entry) = closed {
            entry.route.close(Reason::OverQuota);
        }
        Ok(Lease {
            routes: self.clone(),
            gateway,
            generation,
        })
    }

    /// Finds the way to a gateway of an organization: its newest tunnel that is open.
    ///
    /// # Errors
    /// [`Reason::GatewayOffline`] without an open tunnel, [`Reason::WrongOrganization`] when the tunnel was
    /// proven by another organization's certificate.
    pub(crate) fn find(&self, gateway: GatewayId, organization: OrganizationId) -> Result<R, Reason> {
        let table = self.lock();
        let entries = table
            .gateways
            .get(&gateway)
            .map(Vec::as_slice)
            .unwrap_or_default();
        match entries.iter().rev().find(|entry| entry.route.is_open()) {
            Some(entry) if entry.organization == organization => Ok(entry.route.clone()),
            Some(_) => Err(Reason::WrongOrganization),
            None => Err(Reason::GatewayOffline),
        }
    }

    /// Lists every tunnel.
    pub(crate) fn all(&self) -> Vec<R> {
        self.lock()
            .gateways
            .values()
            .flatten()
            .map(|entry| entry.route.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use postern_domain::Timestamp;

    use super::*;

    #[derive(Debug, Clone)]
    struct Tunnel(Arc<AtomicBool>, u8);

    impl Tunnel {
        fn open(name: u8) -> Self {
            Self(Arc::new(AtomicBool::new(true)), name)
        }
    }

    impl Route for Tunnel {
        fn is_open(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
        fn close(&self, _: Reason) {
            self.0.store(false, Ordering::Relaxed);
        }
    }

    fn ids() -> (GatewayId, OrganizationId, OrganizationId) {
        let now = Timestamp::from_unix_seconds(1);
        (
            GatewayId::generate(now),
            OrganizationId::generate(now),
            OrganizationId::generate(now),
        )
    }

    #[test]
    fn the_newest_tunnel_takes_new_streams_at_once() {
        let (gateway, org, _) = ids();
        let routes = Routes::new(10, 10);
        let _first = routes.register(gateway, org, Tunnel::open(1)).unwrap();
        let _second = routes.register(gateway, org, Tunnel::open(2)).unwrap();
        assert_eq!(routes.find(gateway, org).unwrap().1, 2);
    }

    #[test]
    fn a_late_goodbye_does_not_remove_a_newer_tunnel() {
        let (gateway, org, _) = ids();
        let routes = Routes::new(10, 10);
        let first = routes.register(gateway, org, Tunnel::open(1)).unwrap();
        let second = routes.register(gateway, org, Tunnel::open(2)).unwrap();
        drop(first);
        assert_eq!(routes.find(gateway, org).unwrap().1, 2);
        drop(second);
        assert_eq!(routes.find(gateway, org).unwrap_err(), Reason::GatewayOffline);
        assert!(routes.lock().gateways.is_empty());
    }

    #[test]
    fn the_elder_serves_while_the_newest_is_closed() {
        let (gateway, org, _) = ids();
        let routes = Routes::new(10, 10);
        let _first = routes.register(gateway, org, Tunnel::open(1)).unwrap();
        let second = Tunnel::open(2);
        let _second = routes.register(gateway, org, second.clone()).unwrap();
        second.close(Reason::ConnectionLost);
        assert_eq!(routes.find(gateway, org).unwrap().1, 1);
    }

    #[test]
    fn a_third_tunnel_closes_the_eldest() {
        let (gateway, org, _) = ids();
        let routes = Routes::new(10, 10);
        let eldest = Tunnel::open(1);
        let first = routes.register(gateway, org, eldest.clone()).unwrap();
        let _second = routes.register(gateway, org, Tunnel::open(2)).unwrap();
        let _third = routes.register(gateway, org, Tunnel::open(3)).unwrap();
        assert!(!eldest.is_open());
        drop(first);
        assert_eq!(routes.all().len(), 2);
    }

    #[test]
    fn refuses_another_organization_and_an_unknown_gateway() {
        let (gateway, org, other) = ids();
        let routes = Routes::new(10, 10);
        let _lease = routes.register(gateway, org, Tunnel::open(1)).unwrap();
        assert_eq!(
            routes.find(gateway, other).unwrap_err(),
            Reason::WrongOrganization
        );
        assert_eq!(routes.find(ids().0, org).unwrap_err(), Reason::GatewayOffline);
    }

    #[test]
    fn is_bounded() {
        let (gateway, org, _) = ids();
        let routes = Routes::new(1, 1);
        let _lease = routes.register(gateway, org, Tunnel::open(1)).unwrap();
        assert_eq!(
            routes.register(ids().0, org, Tunnel::open(2)).unwrap_err(),
            Reason::OverQuota
        );
        assert!(
            routes.register(gateway, org, Tunnel::open(3)).is_ok(),
            "its own gateway may still renew"
        );
    }

    #[test]
    fn one_organization_cannot_take_every_place() {
        let (gateway, org, other) = ids();
        let routes = Routes::new(10, 2);
        let first = routes.register(gateway, org, Tunnel::open(1)).unwrap();
        let _second = routes.register(ids().0, org, Tunnel::open(2)).unwrap();
        let third = ids().0;
        assert_eq!(
            routes.register(third, org, Tunnel::open(3)).unwrap_err(),
            Reason::OverQuota
        );
        let _others = routes.register(ids().0, other, Tunnel::open(4)).unwrap();
        let renewed = routes.register(gateway, org, Tunnel::open(5)).unwrap();
        drop(first);
        assert!(routes.register(third, org, Tunnel::open(6)).is_err());
        drop(renewed);
        drop(routes.register(third, org, Tunnel::open(7)).unwrap());
        assert_eq!(routes.lock().organizations.get(&org), Some(&1));
    }
}
