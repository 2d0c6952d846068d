//! The bytes that a target was given, as what it does with them.

/// What is left of the bytes.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte, if there is one.
    pub fn byte(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    /// The next bytes as a number of which every byte that is missing is 0.
    pub fn number<const BYTES: usize>(&mut self) -> u64 {
        let mut number = [0; 8];
        let bytes = self.bytes(BYTES);
        number[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(number)
    }

    /// A number, near 0 or near anything that is special, as a rule.
    pub fn special(&mut self) -> u64 {
        let base = [0_u64, 32, 64, 16 << 10, 64 << 10, 1 << 32, 1 << 63];
        match self.byte() {
            Some(byte @ 0..128) => u64::from(byte),
            Some(byte @ 128..240) => {
                let near = u64::from(byte & 7).wrapping_sub(4);
                base[usize::from(byte >> 3) % base.len()].wrapping_add(near)
            }
            Some(_) => self.number::<8>(),
            None => 0,
        }
    }

    /// As many of the next bytes as there are, up to `len`.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        self.0
            .split_off(..len.min(self.0.len()))
            .unwrap_or_default()
    }
}
