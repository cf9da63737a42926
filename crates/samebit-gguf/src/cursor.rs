//! A bounds-checked place in the header's bytes. Knows sizes, not meanings.

/// A read that the bytes do not cover: it wanted `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Reads little-endian values from the front of a slice. A failed read consumes nothing.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], Short> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let Some(taken) = taken else {
            return Err(self.short(len));
        };
        self.at += taken.len();
        Ok(taken)
    }

    /// Checks that `count` items of at least `item_bytes` each can still follow, so that room for them may
    /// be reserved: the one gate between a count in the file and an allocation.
    pub(crate) fn can_hold(&self, count: u64, item_bytes: u64) -> Result<usize, Short> {
        let rest = (self.bytes.len() - self.at) as u64;
        match count.checked_mul(item_bytes) {
            Some(need) if need <= rest => Ok(count as usize), // count <= rest, a slice's length
            _ => Err(self.short(count.saturating_mul(item_bytes))),
        }
    }

    /// `N` bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let taken = self.take(N as u64)?;
        let mut out = [0; N];
        out.copy_from_slice(taken);
        Ok(out)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string: its length as u64, then its bytes.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Short> {
        let len = self.u64()?;
        self.take(len)
    }

    fn short(&self, len: u64) -> Short {
        Short { start: self.offset(), end: self.offset().saturating_add(len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_says_what_it_wanted_and_consumes_nothing() {
        let mut c = Cursor::new(&[1, 0, 0, 0, 9]);
        assert_eq!(c.u32(), Ok(1));
        assert_eq!(c.u64(), Err(Short { start: 4, end: 12 }));
        assert_eq!(c.take(u64::MAX), Err(Short { start: 4, end: u64::MAX }));
        assert_eq!(c.take(1), Ok(&[9][..]));
        assert_eq!(c.take(0), Ok(&[][..]));
    }

    #[test]
    fn counts_are_held_against_what_is_left() {
        let c = Cursor::new(&[0; 24]);
        assert_eq!(c.can_hold(3, 8), Ok(3));
        assert_eq!(c.can_hold(4, 8), Err(Short { start: 0, end: 32 }));
        assert_eq!(c.can_hold(1 << 62, 8), Err(Short { start: 0, end: u64::MAX }));
    }
}
