//! A time limit for calls of a guest, where there is none.

use crate::error::Error;
use crate::guard::Capture;
use std::time::Duration;

/// There are none.
pub(crate) enum Hook {}

/// There are none.
pub(crate) enum Limit {}

impl Hook {
    pub(crate) fn new() -> Result<Hook, Error> {
        Err(Error::Option("flags has CR_GUARD_HANG, which is to be had on Linux, Android and Windows only".into()))
    }

    pub(crate) fn start(&self, _limit: Duration, _capture: *const Capture) -> Option<Limit> {
        match *self {}
    }
}
