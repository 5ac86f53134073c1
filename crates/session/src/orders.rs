//! Orders to a running session: go on, drain, end. The gateway gives them when policy, trust or clock say so.

use postern_domain::Reason;
use tokio::sync::watch;

/// What a session is to do. An order is never taken back: one can only follow that says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Run,
    /// Take no new streams, end when the last one has.
    Drain,
    /// End now: the peer is told why, every stream is reset.
    End(Reason),
}

/// Gives orders to one session. Dropping it ends the session: nobody is left to cut it.
#[derive(Debug)]
pub struct OrderHand(watch::Sender<Order>);

/// The orders of one session.
#[derive(Debug, Clone)]
pub struct Orders(watch::Receiver<Order>);

/// Makes a hand and the orders that it gives.
#[must_use]
pub fn orders() -> (OrderHand, Orders) {
    let (sender, receiver) = watch::channel(Order::Run);
    (OrderHand(sender), Orders(receiver))
}

impl OrderHand {
    /// Asks the session to take no new streams and to end when the last one has.
    pub fn drain(&self) {
        self.0.send_if_modified(|order| {
            let changes = *order == Order::Run;
            if changes {
                *order = Order::Drain;
            }
            changes
        });
    }

    /// Ends the session now. The first reason stands.
    pub fn end(&self, reason: Reason) {
        self.0.send_if_modified(|order| {
            let changes = !matches!(order, Order::End(_));
            if changes {
                *order = Order::End(reason);
            }
            changes
        });
    }

    /// Waits until the session has gone.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

impl Orders {
    /// Returns the order that stands.
    #[must_use]
    pub fn now(&self) -> Order {
        *self.0.borrow()
    }

    /// Waits for the next order.
    pub async fn changed(&mut self) -> Order {
        match self.0.changed().await {
            Ok(()) => *self.0.borrow_and_update(),
            Err(_) => Order::End(Reason::SessionTerminated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_is_never_taken_back() {
        let (hand, mut orders) = orders();
        hand.end(Reason::Revoked);
        hand.end(Reason::Draining);
        hand.drain();
        assert_eq!(orders.changed().await, Order::End(Reason::Revoked));
    }

    #[tokio::test]
    async fn a_dropped_hand_ends_the_session() {
        let (hand, mut orders) = orders();
        drop(hand);
        assert_eq!(orders.changed().await, Order::End(Reason::SessionTerminated));
    }
}
