//! For systems whose notifications are not used: there are no subscriptions, and files are looked at.

use core::convert::Infallible;
use core::ffi::CStr;
use std::time::Duration;

/// There is none.
pub(crate) struct Subscription(Infallible);

impl Subscription {
    pub(crate) fn new(_path: &CStr) -> Option<Subscription> {
        None
    }

    pub(crate) fn is_quiet(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn wait(&self, _limit: Duration) {
        match self.0 {}
    }
}
