//! Pairs of connected `SOCK_SEQPACKET` sockets, and descriptors that travel along.
//!
//! Nothing here ever blocks: who has to wait polls.

use super::{check, retry};
use std::io;
use std::mem::{offset_of, size_of, size_of_val};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The most descriptors that one datagram may carry.
pub const MAX_DESCRIPTORS: usize = 2;

/// Room for one `SCM_RIGHTS` message. It has the layout that `CMSG_DATA` computes: the header's
/// size is a multiple of the alignment on every Linux.
#[repr(C)]
struct Rights {
    header: libc::cmsghdr,
    descriptors: [RawFd; MAX_DESCRIPTORS],
}

/// What [`receive`] got.
#[derive(Debug)]
pub struct Message {
    /// Bytes of the datagram, now in the buffer; 0 means that the peer sends no more.
    pub length: usize,
    /// The descriptors that came along, at most [`MAX_DESCRIPTORS`].
    pub descriptors: Vec<OwnedFd>,
    /// Whether descriptors were lost, as this process may not open that many.
    pub lost_descriptors: bool,
}

/// A connected pair of sockets that keep datagrams whole and in order.
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut pair = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `pair` has room for the two numbers that the kernel writes.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) })?;
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    let first = unsafe { OwnedFd::from_raw_fd(pair[0]) };
    // SAFETY: as above.
    let second = unsafe { OwnedFd::from_raw_fd(pair[1]) };
    Ok((first, second))
}

/// Whether the number is that of a Unix socket that keeps datagrams whole.
pub fn is_seqpacket(number: RawFd) -> io::Result<bool> {
    let is = |option, expected| match option_of(number, option) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK)) => {
            Ok(false)
        }
        value => value.map(|value| value == expected),
    };
    Ok(is(libc::SO_DOMAIN, libc::AF_UNIX)? && is(libc::SO_TYPE, libc::SOCK_SEQPACKET)?)
}

fn option_of(number: RawFd, option: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    // SAFETY: `value` and `length` outlive the call, and `length` is the size of `value`. The call
    // changes nothing, whatever the number names.
    check(unsafe {
        libc::getsockopt(
            number,
            libc::SOL_SOCKET,
            option,
            (&raw mut value).cast(),
            &raw mut length,
        )
    })?;
    Ok(value)
}

/// Sends one datagram and at most [`MAX_DESCRIPTORS`] descriptors, or `WouldBlock` if the peer
/// has not taken enough of what was sent before.
pub fn send(socket: BorrowedFd<'_>, data: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.is_empty() {
        return send_bytes(socket, data);
    }
    let mut part = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    let mut rights = no_rights();
    let mut message = header(&mut part);
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (slot, descriptor) in rights.descriptors.iter_mut().zip(descriptors) {
        *slot = descriptor.as_raw_fd();
    }
    let length = offset_of!(Rights, descriptors) + descriptors.len() * size_of::<RawFd>();
    rights.header.cmsg_level = libc::SOL_SOCKET;
    rights.header.cmsg_type = libc::SCM_RIGHTS;
    rights.header.cmsg_len = length as _;
    message.msg_control = (&raw mut rights).cast();
    message.msg_controllen = length as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `message` points at `part`, `data` and `rights`, which outlive the call; the kernel
    // only reads them.
    retry(|| unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) })?;
    Ok(())
}

/// Sends one datagram by a call that can carry no descriptors, so that a worker may be allowed it which
/// is to send none.
fn send_bytes(socket: BorrowedFd<'_>, data: &[u8]) -> io::Result<()> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `data` outlives the call, which only reads it, and its length is named.
    retry(|| unsafe { libc::send(socket.as_raw_fd(), data.as_ptr().cast(), data.len(), flags) })?;
    Ok(())
}

/// Has the kernel refuse descriptors that the peer sends, which it can since 6.16.
pub fn refuse_descriptors(socket: BorrowedFd<'_>) -> io::Result<()> {
    /// `SO_PASSRIGHTS`.
    const PASS_RIGHTS: libc::c_int = 83;
    let off: libc::c_int = 0;
    let length = libc::socklen_t::try_from(size_of_val(&off)).map_err(io::Error::other)?;
    // SAFETY: `off` outlives the call, and has the size of an int.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            PASS_RIGHTS,
            (&raw const off).cast(),
            length,
        )
    })?;
    Ok(())
}

/// Takes one datagram and its descriptors, or `WouldBlock` if there is none. One that is longer
/// than `buffer` is an error.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Message> {
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut rights = no_rights();
    let mut message = header(&mut part);
    message.msg_control = (&raw mut rights).cast();
    message.msg_controllen = size_of::<Rights>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` points at `part`, `buffer` and `rights`, which are ours to write and
    // outlive the call, and names their sizes.
    let length = retry(|| unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    let descriptors = rights.take();
    if message.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Message {
        length: length.unsigned_abs(),
        descriptors,
        lost_descriptors: message.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// Takes the bytes of one datagram, or `WouldBlock` if there is none; 0 means that the peer sends
/// no more. Descriptors that a hostile peer put beside them are dropped by the kernel.
pub fn receive_bytes(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let length = retry(|| {
        // SAFETY: `buffer` is ours to write for the whole call, and its length is named.
        unsafe {
            libc::recv(
                socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
            )
        }
    })?;
    Ok(length.unsigned_abs())
}

/// Tells the peer that nothing more will be sent. Unlike closing, it works although a forked copy
/// of this process may hold the socket too.
pub fn end_of_sending(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no memory of ours.
    check(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) })?;
    Ok(())
}

impl Rights {
    /// The descriptors that the kernel wrote here.
    fn take(self) -> Vec<OwnedFd> {
        // C libraries differ in the type of the length. It is 0 if the kernel wrote nothing.
        let length: usize = self.header.cmsg_len as _;
        let bytes = length.saturating_sub(offset_of!(Self, descriptors));
        let carries =
            self.header.cmsg_level == libc::SOL_SOCKET && self.header.cmsg_type == libc::SCM_RIGHTS;
        let count = if carries {
            bytes / size_of::<RawFd>()
        } else {
            0
        };
        self.descriptors
            .iter()
            .take(count)
            // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
            .map(|&fd| unsafe { OwnedFd::from_raw_fd(fd) })
            .collect()
    }
}

fn no_rights() -> Rights {
    // SAFETY: `Rights` is made of integers alone, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn header(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: `msghdr` is made of integers and pointers that may be null.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}
