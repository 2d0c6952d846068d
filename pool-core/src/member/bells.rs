//! Who hears of a worker: a thread that waits for it, or the event loop.

use pool_worker::channel::{Doorbell, events};

use super::{Member, UNKNOWN_BELL};

/// Which thread hears of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attention {
    /// None that waits: the event loop does.
    Nobodys,
    /// One that waits for this worker, and hears of every answer.
    InHaste,
    /// One that waits for this worker, and does not want to hear of every answer.
    AtLeisure,
}

impl Member {
    /// The events that keep calls and answers flowing, if there are more calls to deal.
    pub(crate) fn flow(&self, hungry: bool) -> u32 {
        // Room in the ring is of no use to what the control socket has no room for.
        let hungry = hungry && !self.control.is_behind();
        let more =
            if self.is_streaming() || (hungry && (self.is_idle() || self.link.calls_left() > 0)) {
                events::LOW
            } else if hungry {
                // With nothing left in the ring there is no mark to fall to; the next answer makes room.
                events::ANSWER
            } else {
                0
            };
        events::HALF_FULL | more
    }

    /// Arms the bell for the event loop; `true` means that there is something to do already.
    pub(crate) fn settle(&mut self, wanted: u32) -> bool {
        if self.is_attended() || wanted == self.armed {
            return false;
        }
        self.armed = wanted;
        if wanted == 0 {
            self.link.disarm();
            return false;
        }
        self.link.arm_socket(wanted)
    }

    /// The bell rang in the event loop: it is to be armed anew.
    pub(crate) fn rang(&mut self) {
        self.armed = UNKNOWN_BELL;
    }

    /// What a thread needs to look for this worker's answers, and for room in the middle of a call.
    pub(crate) fn doorbell(&self) -> Doorbell {
        self.link.doorbell(self.is_streaming())
    }

    /// Begins to wait for this worker on the calling thread; `None` if another thread does.
    pub(crate) fn attend(&mut self) -> Option<Doorbell> {
        if self.is_attended() {
            return None;
        }
        self.attention = Attention::InHaste;
        Some(self.doorbell())
    }

    pub(crate) fn is_attended(&self) -> bool {
        self.attention != Attention::Nobodys
    }

    /// Arms the bell for the attending thread; `true` means: do not sleep.
    pub(crate) fn arm_doorbell(&mut self, events: u32) -> bool {
        self.attention = if events & events::ANSWER == 0 {
            Attention::AtLeisure
        } else {
            Attention::InHaste
        };
        self.link.arm_doorbell(events)
    }

    /// Ends what [`attend`](Self::attend) began.
    pub(crate) fn leave(&mut self) {
        self.attention = Attention::Nobodys;
        self.armed = UNKNOWN_BELL;
    }

    /// Wakes the thread that waits for this worker at leisure, if one does: somebody is in haste.
    pub(crate) fn hurry_attendant(&mut self) {
        if self.attention == Attention::AtLeisure {
            self.ring_attendant();
            self.attention = Attention::InHaste;
        }
    }

    /// Wakes the thread that waits for this worker, if one does.
    pub(crate) fn ring_attendant(&self) {
        if self.is_attended() {
            self.doorbell().ring();
        }
    }
}
