//! Virtual time: a future runs until it waits for nothing but the clock, then the clock goes on.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The time of one simulated world.
#[derive(Default)]
pub struct Clock {
    now_ms: Cell<u64>,
    /// Sleepers by the time at which they wake, then in the order in which they fell asleep.
    sleepers: RefCell<BTreeMap<(u64, u64), Waker>>,
    count: Cell<u64>,
    is_dead: Cell<bool>,
}

impl Clock {
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    pub fn pass(&self, more_ms: u64) {
        self.now_ms.set(self.now_ms.get() + more_ms);
    }

    pub async fn sleep(&self, length_ms: u64) {
        let wakes_ms = self.now_ms.get() + length_ms;
        let number = self.count.get();
        self.count.set(number + 1);
        std::future::poll_fn(|context: &mut Context<'_>| {
            if self.now_ms.get() >= wakes_ms {
                return Poll::Ready(());
            }
            let mut sleepers = self.sleepers.borrow_mut();
            sleepers.insert((wakes_ms, number), context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The process dies here: nothing of what runs goes on.
    pub async fn die(&self) {
        self.is_dead.set(true);
        std::future::pending().await
    }

    /// Runs a future to its end; `None` when its process died.
    pub fn run<F: Future>(&self, future: F) -> Option<F::Output> {
        self.is_dead.set(false);
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                self.sleepers.borrow_mut().clear();
                return Some(output);
            }
            if self.is_dead.get() {
                self.sleepers.borrow_mut().clear();
                return None;
            }
            let first = self.sleepers.borrow_mut().pop_first();
            let ((wakes_ms, _), waker) = first.expect("what runs waits for nothing");
            self.now_ms.set(self.now_ms.get().max(wakes_ms));
            waker.wake();
        }
    }
}
