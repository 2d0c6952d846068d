//! Who hears of a worker: a thread that waits for it, or the event loop.

use pool_worker::channel::{Doorbell, events};

use super::{Member, UNKNOWN_BELL};

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
        if self.attended || wanted == self.armed {
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
        (!std::mem::replace(&mut self.attended, true)).then(|| self.doorbell())
    }

    #[cfg(test)]
    pub(crate) fn is_attended(&self) -> bool {
        self.attended
    }

    /// Arms the bell for the attending thread; `true` means: do not sleep.
    pub(crate) fn arm_doorbell(&mut self, events: u32) -> bool {
        self.link.arm_doorbell(events)
    }

    /// Ends what [`attend`](Self::attend) began.
    pub(crate) fn leave(&mut self) {
        self.attended = false;
        self.armed = UNKNOWN_BELL;
    }

    /// Wakes the thread that waits for this worker, if one does.
    pub(crate) fn ring_attendant(&self) {
        if self.attended {
            self.doorbell().ring();
        }
    }
}
