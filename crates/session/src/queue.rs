//! A queue of bytes that copies as little as it can and never holds much more memory than it has bytes: what is
//! small is joined, so that a byte does not keep the buffer alive that it was read into.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::ReadBuf;

use crate::limits::FRAME;

/// A piece below this many bytes is copied, so that it does not hold on to the buffer it was read into.
const SMALL: usize = 1024;

/// A piece below this many bytes is joined to what stands before it.
const JOINED: usize = 8 * 1024;

/// A queue of bytes: pieces in order, the last ones still being joined.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl Queue {
    /// Returns how many bytes lie in it.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Appends a piece; copies it if it is small or if there is something to join it to and it is not large.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.len += piece.len();
        if piece.len() < SMALL || (self.len > piece.len() && piece.len() < JOINED) {
            self.tail.extend_from_slice(&piece);
            self.seal(2 * JOINED);
        } else {
            self.seal(1);
            self.pieces.push_back(piece);
        }
    }

    /// Appends a copy.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        self.tail.extend_from_slice(bytes);
        self.seal(FRAME);
    }

    /// Makes the joined bytes a piece once they are this many.
    fn seal(&mut self, at: usize) {
        if self.tail.len() >= at {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// Takes at most `max` bytes from the front; `None` when empty.
    pub(crate) fn pop(&mut self, max: usize) -> Option<Bytes> {
        let taken = match self.pieces.front_mut() {
            Some(front) if front.len() > max => front.split_to(max),
            Some(_) => self.pieces.pop_front()?,
            None if self.tail.is_empty() => return None,
            None => self.tail.split_to(self.tail.len().min(max)).freeze(),
        };
        self.len -= taken.len();
        Some(taken)
    }

    /// Copies from the front as much as fits.
    pub(crate) fn copy_into(&mut self, buf: &mut ReadBuf<'_>) -> usize {
        let before = buf.remaining();
        while buf.remaining() > 0 {
            if let Some(front) = self.pieces.front_mut() {
                let count = front.len().min(buf.remaining());
                buf.put_slice(front.get(..count).unwrap_or_default());
                if count == front.len() {
                    self.pieces.pop_front();
                } else {
                    front.advance(count);
                }
            } else if !self.tail.is_empty() {
                let count = self.tail.len().min(buf.remaining());
                buf.put_slice(self.tail.get(..count).unwrap_or_default());
                self.tail.advance(count);
            } else {
                break;
            }
        }
        let count = before - buf.remaining();
        self.len -= count;
        count
    }

    /// Drops everything, buffers too; returns how many bytes that was.
    pub(crate) fn clear(&mut self) -> usize {
        self.pieces = VecDeque::new();
        self.tail = BytesMut::new();
        std::mem::take(&mut self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut Queue, max: usize) -> (usize, Vec<u8>) {
        let mut pieces = 0;
        let mut all = Vec::new();
        while let Some(piece) = queue.pop(max) {
            assert!(!piece.is_empty() && piece.len() <= max);
            pieces += 1;
            all.extend_from_slice(&piece);
        }
        assert_eq!(queue.len(), 0);
        (pieces, all)
    }

    #[test]
    fn bytes_come_out_in_order_whatever_their_pieces() {
        let mut queue = Queue::default();
        let mut expected = Vec::new();
        for (n, size) in (0_u8..).zip([1, 2000, 3, 70_000, 0, 9000, 1023, 1024, 8191, 8192, 5]) {
            let piece = vec![n; size];
            expected.extend_from_slice(&piece);
            if n % 2 == 0 {
                queue.push(Bytes::from(piece));
            } else {
                queue.extend(&piece);
            }
        }
        assert_eq!(queue.len(), expected.len());
        let mut start = vec![0; 12_345];
        let mut buf = ReadBuf::new(&mut start);
        assert_eq!(queue.copy_into(&mut buf), 12_345);
        let (_, rest) = drain(&mut queue, 10_000);
        assert_eq!([start, rest].concat(), expected);
    }

    #[test]
    fn small_pieces_are_joined() {
        let mut queue = Queue::default();
        for _ in 0..60_000 {
            queue.push(Bytes::from_static(b"x"));
        }
        assert!(queue.pieces.len() <= 4);
        let (pieces, all) = drain(&mut queue, FRAME);
        assert!(pieces <= 5 && all.len() == 60_000);
    }

    #[test]
    fn a_small_piece_does_not_keep_its_buffer() {
        let buffer = Bytes::from(vec![0; 1 << 16]);
        let mut queue = Queue::default();
        queue.push(buffer.slice(..100));
        assert!(buffer.is_unique());
        queue.push(buffer.slice(100..5000));
        assert!(buffer.is_unique());
    }

    #[test]
    fn a_large_piece_is_not_copied() {
        let buffer = Bytes::from(vec![0; 1 << 16]);
        let mut queue = Queue::default();
        queue.push(buffer.clone());
        assert_eq!(queue.pop(1 << 16).unwrap().as_ptr(), buffer.as_ptr());
    }
}
