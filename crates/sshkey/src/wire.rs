//! The data types of RFC 4251 section 5, read within bounds and written.
//!
//! A reader never allocates: it lends slices of what it was given, so a length that lies costs nothing.

/// Something on the wire is not what its type demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("it ends too early")]
    Truncated,
    #[error("bytes follow its end")]
    Trailing,
    #[error("a text is not UTF-8")]
    NotText,
    #[error("an integer is negative or has needless leading bytes")]
    Integer,
}

/// Reads from a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns how many bytes are left.
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a `string`.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.u32()?).map_err(|_| WireError::Truncated)?;
        self.take(length)
    }

    /// Reads a `string` that is UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.string()?).map_err(|_| WireError::NotText)
    }

    /// Reads a positive `mpint` in its only form, without its leading zero.
    pub(crate) fn positive(&mut self) -> Result<&'a [u8], WireError> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Ok(rest),
            bytes @ [first, ..] if *first != 0 && first & 0x80 == 0 => Ok(bytes),
            _ => Err(WireError::Integer),
        }
    }

    /// Demands that nothing is left.
    pub(crate) const fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing)
        }
    }
}

/// Writes into a vector.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Writes a `string`. What is longer than a length can say is cut, which no verifier accepts; callers bound
    /// what they write far below.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
            .raw(bytes)
    }

    /// Writes a positive number, given without leading zeros, as an `mpint`.
    pub(crate) fn positive(&mut self, magnitude: &[u8]) -> &mut Self {
        if magnitude.first().is_some_and(|first| first & 0x80 != 0) {
            let length = u32::try_from(magnitude.len().saturating_add(1)).unwrap_or(u32::MAX);
            self.u32(length).raw(&[0]).raw(magnitude)
        } else {
            self.string(magnitude)
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        let mut writer = Writer::default();
        writer
            .u32(7)
            .u64(u64::MAX)
            .string(b"abc")
            .positive(&[0x80, 1])
            .positive(&[0x7f]);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u32(), Ok(7));
        assert_eq!(reader.u64(), Ok(u64::MAX));
        assert_eq!(reader.text(), Ok("abc"));
        assert_eq!(reader.positive(), Ok(&[0x80, 1][..]));
        assert_eq!(reader.positive(), Ok(&[0x7f][..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn refuses_a_length_beyond_the_end() {
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 1]).string(),
            Err(WireError::Truncated)
        );
        assert_eq!(Reader::new(&[0, 0, 0]).u32(), Err(WireError::Truncated));
    }

    #[test]
    fn refuses_integers_in_another_form() {
        for form in [&[][..], &[0], &[0, 1], &[0x80], &[0xff, 0xff], &[0, 0, 0x80]] {
            let mut writer = Writer::default();
            writer.string(form);
            assert_eq!(
                Reader::new(writer.as_bytes()).positive(),
                Err(WireError::Integer),
                "{form:?}"
            );
        }
    }

    #[test]
    fn refuses_bytes_after_the_end() {
        assert_eq!(Reader::new(&[1]).finish(), Err(WireError::Trailing));
    }
}
