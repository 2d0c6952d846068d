//! A worker that goes on writing into its rings while the application reads them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use pool_worker::channel::{ApplicationEnd, Segment};

use crate::input::Input;
use crate::memory::{ANSWERS_HEAD, Frame, Memory, Ring};

/// How often the application looks for answers.
const LOOKS: usize = 64;

pub fn target(bytes: &[u8]) {
    let (segment, memfd) = Segment::create().expect("there is memory");
    let mut end = ApplicationEnd::new(segment);
    let memory = Memory::new(memfd);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                scribble(&memory, &mut Input::new(bytes));
                if bytes.is_empty() {
                    return;
                }
            }
        });
        for _ in 0..LOOKS {
            match end.receive(|_, _| Vec::new()) {
                Ok(Some(answer)) => drop(answer.body.bytes().to_vec()),
                Ok(None) => thread::yield_now(),
                Err(_) => break,
            }
        }
        is_over.store(true, Relaxed);
    });
}

/// Writes frames to the beginning of the ring, again and again.
fn scribble(memory: &Memory, input: &mut Input<'_>) {
    while let Some(step) = input.byte() {
        let position = input.number::<1>() * 32;
        let mut word = || u32::try_from(input.special() & u64::from(u32::MAX)).unwrap_or(0);
        let words = [word() % 6, word(), word() % 4, 0];
        let total = input.special();
        let body = input.bytes(usize::from(step));
        memory.put(Ring::Answers, position, &Frame { words, total, body });
        memory.set(ANSWERS_HEAD, position + input.number::<1>() * 32);
    }
}
