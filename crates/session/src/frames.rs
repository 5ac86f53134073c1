//! Reads along in the frames that a peer sends, before the HTTP/2 library sees them. It decides nothing that the
//! library decides; it knows the frame header (RFC 9113 section 4.1) and nothing else.
//!
//! Three things the library does not do for us: empty DATA frames that end nothing are taken out, since it ends
//! the whole session at the 101st; frames that cost work and carry nothing are counted; and the code of GOAWAY is
//! kept even when the connection breaks right behind it.

use tokio::io::ReadBuf;

const HEADER: usize = 9;
const PREFACE: usize = 24;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

/// The flags END_STREAM and PADDED of a DATA frame.
const END_OR_PADDED: u8 = 0x1 | 0x8;

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before the first frame: bytes of the client's preface that are still to come.
    Preface(usize),
    /// In a frame header, this many bytes of which are known.
    Header(usize),
    /// In a payload.
    Payload { kind: u8, length: usize, left: usize },
}

/// Follows the frames of one direction.
#[derive(Debug)]
pub(crate) struct Scanner {
    place: Place,
    header: [u8; HEADER],
    /// Bytes of `header` that were taken back from the reader, until it is known whether he may see them.
    held: usize,
    goaway: [u8; 8],
    /// What was found since it was last asked for.
    found: Found,
}

/// Bytes that were held back and may pass now.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Held {
    bytes: [u8; HEADER],
    len: usize,
}

impl Held {
    /// Moves as many bytes as fit.
    pub(crate) fn put_into(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.len.min(buf.remaining());
        buf.put_slice(self.bytes.get(..count).unwrap_or_default());
        self.bytes.rotate_left(count);
        self.len -= count;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What a portion of bytes contained.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Frames that are neither part of a stream nor give back window.
    pub(crate) control: u32,
    /// The code of the last GOAWAY that had one.
    pub(crate) goaway: Option<u32>,
}

impl Scanner {
    /// Makes a scanner for what a client (with its preface) or a gateway sends.
    pub(crate) const fn new(preface: bool) -> Self {
        Self {
            place: if preface {
                Place::Preface(PREFACE)
            } else {
                Place::Header(0)
            },
            header: [0; HEADER],
            held: 0,
            goaway: [0; 8],
            found: Found {
                control: 0,
                goaway: None,
            },
        }
    }

    /// Returns the bytes that were held back; they belong before what is read next.
    pub(crate) fn held(&self) -> &[u8] {
        self.header.get(..self.held).unwrap_or_default()
    }

    /// Lets what is held back pass after all, and returns it.
    pub(crate) fn give_up(&mut self) -> Held {
        let held = Held {
            bytes: self.header,
            len: self.held,
        };
        self.place = Place::Header(self.held);
        self.held = 0;
        held
    }

    /// Returns what was found since the last call.
    pub(crate) fn found(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }

    /// Reads along in `bytes`, which begin with what was held back. Moves what may pass to the front and returns
    /// how much that is.
    pub(crate) fn scan(&mut self, bytes: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        if self.held > 0 {
            self.place = Place::Header(0);
            self.held = 0;
        }
        while from < bytes.len() {
            let count = match self.place {
                Place::Preface(left) => {
                    let count = left.min(bytes.len() - from);
                    self.place = if count == left {
                        Place::Header(0)
                    } else {
                        Place::Preface(left - count)
                    };
                    count
                }
                Place::Header(known) => {
                    let count = (HEADER - known).min(bytes.len() - from);
                    copy(&mut self.header, known, bytes, from, count);
                    match self.header_bytes(known, count) {
                        Verdict::Pass => count,
                        Verdict::Skip => {
                            from += count;
                            continue;
                        }
                        Verdict::Hold => {
                            self.held = count;
                            return to;
                        }
                    }
                }
                Place::Payload { kind, length, left } => {
                    let count = left.min(bytes.len() - from);
                    if kind == GOAWAY {
                        self.goaway_bytes(length - left, bytes.get(from..from + count).unwrap_or_default());
                    }
                    self.place = if count == left {
                        Place::Header(0)
                    } else {
                        let left = left - count;
                        Place::Payload { kind, length, left }
                    };
                    count
                }
            };
            if from != to {
                bytes.copy_within(from..from + count, to);
            }
            from += count;
            to += count;
        }
        to
    }

    /// Decides about header bytes `known..known + count`.
    fn header_bytes(&mut self, known: usize, count: usize) -> Verdict {
        let have = known + count;
        let [l0, l1, l2, kind, flags, ..] = self.header;
        if have < HEADER {
            self.place = Place::Header(have);
            // Only what may turn out to be an empty DATA frame is held back, and only from its first byte on.
            let may_be_empty = self.header.iter().take(have.min(4)).all(|b| *b == 0)
                && (have < 5 || flags & END_OR_PADDED == 0);
            return if known == 0 && may_be_empty {
                Verdict::Hold
            } else {
                Verdict::Pass
            };
        }
        let length = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
        self.place = if length == 0 {
            Place::Header(0)
        } else {
            Place::Payload {
                kind,
                length,
                left: length,
            }
        };
        match kind {
            DATA if length == 0 && flags & END_OR_PADDED == 0 => {
                self.found.control += 1;
                if known == 0 {
                    return Verdict::Skip;
                }
            }
            DATA | HEADERS | RST_STREAM | WINDOW_UPDATE => {}
            CONTINUATION if length > 0 => {}
            _ => self.found.control += 1,
        }
        Verdict::Pass
    }

    /// Keeps the first eight bytes of GOAWAY's payload; the code is the second four.
    fn goaway_bytes(&mut self, at: usize, bytes: &[u8]) {
        let end = self.goaway.len();
        for (slot, byte) in self.goaway.iter_mut().skip(at).zip(bytes) {
            *slot = *byte;
        }
        if at < end && at + bytes.len() >= end {
            let [.., a, b, c, d] = self.goaway;
            let code = u32::from_be_bytes([a, b, c, d]);
            if code != 0 || self.found.goaway.is_none() {
                self.found.goaway = Some(code);
            }
        }
    }
}

enum Verdict {
    Pass,
    Skip,
    Hold,
}

fn copy(header: &mut [u8; HEADER], known: usize, bytes: &[u8], from: usize, count: usize) {
    let source = bytes.get(from..from + count).unwrap_or_default();
    for (slot, byte) in header.iter_mut().skip(known).zip(source) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u8 = 0x1;
    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![
            0,
            0,
            u8::try_from(payload.len()).unwrap(),
            kind,
            flags,
            0,
            0,
            0,
            1,
        ];
        out.extend_from_slice(payload);
        out
    }

    /// Feeds the bytes in portions of this size and returns what passed.
    fn pass(scanner: &mut Scanner, bytes: &[u8], portion: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for part in bytes.chunks(portion) {
            let mut buf = scanner.held().to_vec();
            buf.extend_from_slice(part);
            let count = scanner.scan(&mut buf);
            out.extend_from_slice(&buf[..count]);
        }
        out.extend_from_slice(scanner.held());
        out
    }

    #[test]
    fn empty_data_frames_are_taken_out_however_they_arrive() {
        let kept = [
            frame(DATA, 0, b"abc"),
            frame(HEADERS, 4, b"hh"),
            frame(DATA, END, b""),
        ]
        .concat();
        let sent = [
            frame(DATA, 0, b""),
            frame(DATA, 0, b"abc"),
            frame(DATA, 0, b""),
            frame(DATA, 0, b""),
            frame(HEADERS, 4, b"hh"),
            frame(DATA, 0, b""),
            frame(DATA, END, b""),
        ]
        .concat();
        for portion in 1..=sent.len() {
            let mut scanner = Scanner::new(false);
            assert_eq!(
                pass(&mut scanner, &sent, portion),
                kept,
                "in portions of {portion}"
            );
            assert_eq!(scanner.found().control, 4);
        }
    }

    #[test]
    fn all_else_passes_untouched() {
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for kind in 0..12 {
            sent.extend(frame(kind, 0x8, &[kind; 40]));
            sent.extend(frame(kind, END, b""));
        }
        for portion in 1..=sent.len() {
            assert_eq!(pass(&mut Scanner::new(true), &sent, portion), sent);
        }
    }

    #[test]
    fn frames_that_carry_nothing_are_counted() {
        let mut scanner = Scanner::new(false);
        let sent = [
            frame(PING, 0, &[0; 8]),
            frame(DATA, 0, b"x"),
            frame(0x77, 0, b"?"),
        ]
        .concat();
        pass(&mut scanner, &sent, 5);
        assert_eq!(scanner.found().control, 2);
        assert_eq!(scanner.found().control, 0);
    }

    #[test]
    fn the_code_of_goaway_is_kept() {
        for portion in 1..20 {
            let mut scanner = Scanner::new(false);
            let sent = frame(GOAWAY, 0, &[0, 0, 0, 1, 0x50, 0x4f, 0x53, 0x0e, b'x']);
            pass(&mut scanner, &sent, portion);
            assert_eq!(scanner.found().goaway, Some(0x504f_530e));
        }
    }
}
