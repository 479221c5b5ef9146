//! What a person wants of a backend, beside what the configuration says.

use tokio::sync::watch;

/// Whether it is to run, and which of its lives this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// Whether it is to run.
    pub(super) run: bool,
    /// Counts the orders, so that a restart is one.
    number: u64,
}

/// The orders for one backend; the last one counts.
#[derive(Debug)]
pub(super) struct Orders(watch::Sender<Order>);

impl Default for Orders {
    fn default() -> Self {
        Self(watch::Sender::new(Order {
            run: true,
            number: 0,
        }))
    }
}

impl Orders {
    /// It is to run, anew if it does already and `anew`.
    pub(super) fn run(&self, anew: bool) {
        self.0.send_if_modified(|order| {
            let news = anew || !order.run;
            order.run = true;
            order.number += u64::from(news);
            news
        });
    }

    /// It is to end, and not to be started again before it is told.
    pub(super) fn stop(&self) {
        self.0.send_if_modified(|order| {
            let news = order.run;
            order.run = false;
            order.number += u64::from(news);
            news
        });
    }

    /// Whether it is to run.
    pub(super) fn wants_run(&self) -> bool {
        self.0.borrow().run
    }

    /// Follows the orders from now on.
    pub(super) fn follow(&self) -> watch::Receiver<Order> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::Orders;

    #[test]
    fn an_order_that_changes_nothing_is_none() {
        let orders = Orders::default();
        let mut followed = orders.follow();
        let mut news = |give: &dyn Fn(&Orders)| {
            give(&orders);
            let news = followed.has_changed().expect("it is there");
            (news, followed.borrow_and_update().run)
        };
        assert_eq!(news(&|orders| orders.run(false)), (false, true));
        assert_eq!(news(&|orders| orders.run(true)), (true, true));
        assert_eq!(news(&Orders::stop), (true, false));
        assert_eq!(news(&Orders::stop), (false, false));
        assert_eq!(news(&|orders| orders.run(false)), (true, true));
    }
}
