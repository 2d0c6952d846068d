//! Messages between application, fork server and workers, and panics as workers tell of them.

use pool_worker::protocol::{self, Errand, PanicReport, Report, Request, Setup};

use crate::sys;

/// What a message takes in memory for each of its bytes, at most: a text, and lists that grow, of which
/// the old one is there while it is copied.
const FACTOR: usize = 3 * size_of::<String>();
/// What serde sets aside for the three lists of a [`Setup`], whatever their lengths are said to be. It
/// comes from the application, which its fork server trusts; no other message has a list.
const LISTS: usize = 3 << 20;

pub fn target(bytes: &[u8]) {
    bounded(bytes, 0, || drop(protocol::decode::<Request>(bytes)));
    bounded(bytes, 0, || drop(protocol::decode::<Report>(bytes)));
    bounded(bytes, 0, || drop(protocol::decode::<Errand>(bytes)));
    bounded(bytes, LISTS, || drop(protocol::decode::<Setup>(bytes)));
}

pub fn panics(bytes: &[u8]) {
    bounded(bytes, 0, || {
        let report = protocol::decode::<PanicReport>(bytes).unwrap_or_default();
        let texts = [Some(report.message), report.location, report.backtrace];
        let told: usize = texts.iter().flatten().map(String::len).sum();
        assert!(told <= bytes.len(), "more is told than was said");
    });
}

fn bounded(bytes: &[u8], beside: usize, run: impl FnOnce()) {
    let peak = sys::peak_of(run);
    let most = FACTOR * bytes.len() + beside + 4096;
    assert!(
        peak <= most,
        "{peak} bytes of memory for {} of a message",
        bytes.len()
    );
}
