use super::*;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

#[test]
fn descriptors_travel_with_their_datagram() {
    let (ours, theirs) = socket_pair().unwrap();
    let memory = write_sealed(c"test", b"content").unwrap();
    send(ours.as_fd(), b"one", &[memory.as_fd(), ours.as_fd()]).unwrap();
    send(ours.as_fd(), b"two", &[]).unwrap();

    let mut buffer = [0; 8];
    let message = receive(theirs.as_fd(), &mut buffer).unwrap();
    assert_eq!(&buffer[..message.length], b"one");
    assert!(!message.lost_descriptors);
    let [memory, _]: [OwnedFd; 2] = message.descriptors.try_into().unwrap();
    let mut content = [0; 7];
    File::from(memory).read_exact_at(&mut content, 0).unwrap();
    assert_eq!(&content, b"content");

    let message = receive(theirs.as_fd(), &mut buffer).unwrap();
    assert_eq!(&buffer[..message.length], b"two");
    assert!(message.descriptors.is_empty());
}

#[test]
fn only_sealed_memory_is_mapped() {
    let open = memfd(c"test", 8).unwrap();
    let error = Sealed::map(open.as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    for content in [&b""[..], b"content"] {
        let memory = write_sealed(c"test", content).unwrap();
        let mapped = Sealed::map(memory.as_fd()).unwrap();
        drop(memory);
        assert_eq!(mapped.bytes(), content);
    }
}

#[test]
fn descriptors_beside_plain_bytes_are_dropped() {
    let (ours, theirs) = socket_pair().unwrap();
    let (kept, sent) = socket_pair().unwrap();
    send(ours.as_fd(), b"bell", &[sent.as_fd()]).unwrap();
    drop(sent);
    assert_eq!(receive_bytes(theirs.as_fd(), &mut [0; 8]).unwrap(), 4);
    let seen = poll([(kept.as_fd(), Readiness::Read)], Some(Duration::ZERO)).unwrap();
    assert!(seen.ended(0));
}

#[test]
fn nothing_to_receive_and_no_room_to_send_are_told() {
    let (ours, theirs) = socket_pair().unwrap();
    let nothing = receive(theirs.as_fd(), &mut [0; 8]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    let full = loop {
        if let Err(error) = send(ours.as_fd(), &[0; 1024], &[]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let too_long = receive(theirs.as_fd(), &mut [0; 8]).unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::InvalidData);
}

#[test]
fn end_of_sending_reaches_the_peer_past_copies() {
    let (ours, theirs) = socket_pair().unwrap();
    let _copy = ours.try_clone().unwrap();
    end_of_sending(ours.as_fd()).unwrap();
    assert_eq!(receive(theirs.as_fd(), &mut [0; 8]).unwrap().length, 0);
    send(theirs.as_fd(), b"last words", &[]).unwrap();
    assert_eq!(receive_bytes(ours.as_fd(), &mut [0; 16]).unwrap(), 10);
}

#[test]
fn only_datagram_sockets_are_ours() {
    let (ours, _theirs) = socket_pair().unwrap();
    assert!(is_seqpacket(ours.as_raw_fd()).unwrap());
    let memory = memfd(c"test", 0).unwrap();
    assert!(!is_seqpacket(memory.as_raw_fd()).unwrap());
    assert!(!is_seqpacket(-1).unwrap());
}

#[test]
fn sealed_memory_keeps_its_content_and_size() {
    let file = File::from(write_sealed(c"test", b"content").unwrap());
    assert!(file.write_all_at(b"changed", 0).is_err());
    assert!(file.set_len(0).is_err());
    assert!(seal(file.as_fd(), libc::F_SEAL_WRITE).is_err());
}

#[test]
fn fork_beside_threads_is_refused() {
    // The test harness has one thread besides this one.
    assert_eq!(fork().unwrap_err().kind(), ErrorKind::ResourceBusy);
}

#[test]
fn poll_ends_in_time() {
    let (ours, _theirs) = socket_pair().unwrap();
    let wait = Duration::from_millis(2);
    let seen = poll([(ours.as_fd(), Readiness::Read)], Some(wait)).unwrap();
    assert!(!seen.any(0));
}

#[test]
fn memory_changes_hands_between_vectors() {
    let mut numbers = Vec::with_capacity(100);
    numbers.extend([1.5, -2.5]);
    let address = numbers.as_ptr().addr();
    let buffer = Buffer::from_vec(numbers);
    assert_eq!(
        (buffer.len(), buffer.capacity(), buffer.align()),
        (16, 800, 8)
    );
    let copy = buffer.clone();
    let buffer = buffer.into_vec::<u8>().unwrap_err();
    let buffer = buffer.into_vec::<u128>().unwrap_err();
    let bits: Vec<u64> = buffer.into_vec().unwrap();
    assert_eq!(bits.as_ptr().addr(), address);
    assert_eq!(bits, [1.5_f64.to_bits(), (-2.5_f64).to_bits()]);
    assert_eq!(copy.into_vec::<f64>().unwrap(), [1.5, -2.5]);
    assert_eq!(Buffer::default().into_vec::<u8>().unwrap(), [0_u8; 0]);
}

#[test]
fn memory_grows_and_keeps_what_it_holds() {
    // Miri knows no advice on pages, which larger memory is given.
    const MIB: usize = if cfg!(miri) { 1 << 10 } else { 1 << 20 };
    let mut buffer = Buffer::with_capacity(0, 16).unwrap();
    for capacity in [3, 1000, 5 * MIB, 9 * MIB, 16] {
        buffer.grow(capacity).unwrap();
        assert!(buffer.capacity() >= capacity);
        assert_eq!(buffer.as_slice().as_ptr().addr() % 16, 0);
        let filled = buffer.len();
        buffer.spare()[..3].write_copy_of_slice(b"new");
        // SAFETY: just written.
        unsafe { buffer.filled(3) };
        assert_eq!(buffer.as_slice()[filled..], *b"new");
    }
    assert_eq!(buffer.as_slice(), b"new".repeat(5));
    assert!(buffer.suits(9 * MIB, 16));
    assert!(buffer.suits(9 * MIB / 2, 16), "half of it");
    assert!(!buffer.suits(4 * MIB, 16), "most would lie idle");
    assert!(!buffer.suits(9 * MIB + 1, 16), "too little");
    assert!(!buffer.suits(9 * MIB, 8), "aligned otherwise");
    assert_eq!(buffer.grow(usize::MAX / 2), Err(OutOfMemory));
    assert_eq!(buffer.len(), 15, "as it was");
}

#[test]
fn whoever_is_stopped_is_stuck_and_whoever_sleeps_if_it_should_run() {
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let pid = child.id();
    let becomes = |stuck: [bool; 2]| {
        let start = std::time::Instant::now();
        while [is_stuck(pid, false), is_stuck(pid, true)] != stuck {
            assert!(start.elapsed() < Duration::from_secs(10), "not {stuck:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    becomes([false, true]);
    let stopped = libc::pid_t::try_from(pid).unwrap();
    // SAFETY: the process is a child that has not been reaped.
    unsafe { libc::kill(stopped, libc::SIGSTOP) };
    becomes([true, true]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!is_stuck(pid, true), "it is gone");
    assert!(!is_stuck(std::process::id(), true), "this thread runs");
}
