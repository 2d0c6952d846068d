//! Taking a worker's answers, each of which has to be that of a call in its window.

use pool_worker::channel::{Inline, Payload, Violation};
use pool_worker::protocol::Status;

use super::Member;
use crate::calls::{CallId, Calls};

impl Member {
    /// Takes the next answer and the call that it answers.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        calls: &mut Calls,
    ) -> Result<Option<(CallId, Status, Payload)>, Violation> {
        let whole = self.window.len() - usize::from(self.is_streaming());
        let received = self.link.receive(|link, seq| {
            let index = seq.wrapping_sub(self.first_seq) as usize;
            let placed = self.window.get_mut(index).filter(|_| index < whole);
            placed
                .and_then(Option::as_mut)
                .map_or_else(Vec::new, |placed| placed.give_memory(link, calls))
        });
        self.touched |= self.link.may_have_made_room();
        let Some(answer) = received? else {
            return Ok(None);
        };
        let id = self.answered(answer.seq)?;
        Ok(Some((id, answer.status, answer.body)))
    }

    /// Looks for answers.
    pub(crate) fn look(&mut self) -> Result<(), Violation> {
        self.link.look()
    }

    /// Whether answers were seen that were not taken.
    #[inline]
    pub(crate) fn has_seen(&self) -> bool {
        self.link.has_seen()
    }

    /// Takes the next answer that was seen, and the call that it answers, if it is a result of one word.
    /// All others are left to [`receive`](Self::receive).
    #[inline]
    pub(crate) fn receive_word(&mut self) -> Result<Option<(CallId, Inline)>, Violation> {
        let Some((seq, body)) = self.link.receive_word()? else {
            return Ok(None);
        };
        let id = self.answered(seq)?;
        Ok(Some((id, body)))
    }

    /// All answers that were seen are taken, of which there were `any`.
    pub(crate) fn has_taken_all(&mut self, any: bool) {
        self.link.give_back();
        self.touched |= self.link.may_have_made_room();
        if any {
            self.progressed();
        }
    }

    /// Takes the call of this number out of the window, which was answered.
    #[inline]
    fn answered(&mut self, seq: u32) -> Result<CallId, Violation> {
        let index = seq.wrapping_sub(self.first_seq) as usize;
        let skipped = self.window.iter().take(index).any(Option::is_some);
        let whole = !self.is_streaming() || index + 1 < self.window.len();
        let placed = self.window.get_mut(index).and_then(|placed| {
            placed.take_if(|placed| whole && !skipped && self.link.has_begun(placed.ticket))
        });
        let Some(placed) = placed else {
            return Err(Violation("it answered a call that it did not have"));
        };
        self.forget_front(index + 1);
        self.live -= 1;
        Ok(placed.id)
    }
}
