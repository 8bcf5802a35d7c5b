//! Lines of a CSV file (RFC 4180), framed so that a broken quote costs its own line only: a reader
//! that trusts it, as the csv crate does, would take all that follows for one field.

use std::{
    io::{self, Read},
    ops::Range,
};

use domain::sales::fault::Fault;

use super::LONGEST_LINE_BYTES;

const BUFFER_BYTES: usize = 4 * LONGEST_LINE_BYTES;
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Reads lines from text.
pub(super) struct Records<R> {
    source: R,
    buffer: Vec<u8>,
    /// What of the buffer is text not yet read.
    unread: Range<usize>,
    is_at_end: bool,
    has_begun: bool,
    delimiter: u8,
    read_bytes: u64,
    most_bytes: u64,
    /// The number of the next line, from 1.
    next_line: u64,
    line: Line,
    /// Fields whose doubled quotes were made single.
    unquoted: Vec<u8>,
}

/// Where the line that was read last lies in the buffer.
#[derive(Default)]
struct Line {
    number: u64,
    raw: Range<usize>,
    fields: Vec<Field>,
}

struct Field {
    bytes: Range<usize>,
    is_unquoted: bool,
}

/// What comes next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A line with fields.
    Record,
    /// A line that is broken as a whole: its one field is what of it is kept.
    Broken(Fault),
    /// Nothing.
    End,
}

/// How a line with quotes ends.
enum Quoted {
    /// Behind this byte; the text without its line break ends at the other.
    Ends {
        next: usize,
        end: usize,
    },
    /// More has to be read.
    Unfinished,
    Broken,
}

impl<R: Read> Records<R> {
    /// Reads from `source`, at most `most_bytes` bytes.
    pub(super) fn new(source: R, most_bytes: u64) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER_BYTES],
            unread: 0..0,
            is_at_end: false,
            has_begun: false,
            delimiter: b',',
            read_bytes: 0,
            most_bytes,
            next_line: 1,
            line: Line::default(),
            unquoted: Vec::new(),
        }
    }

    /// Whether the text is longer than it may be.
    pub(super) const fn is_too_long(&self) -> bool {
        self.read_bytes > self.most_bytes
    }

    /// Finds out whether commas or semicolons separate fields: what the first line has more of.
    pub(super) fn find_delimiter(&mut self) -> io::Result<()> {
        while memchr::memchr(b'\n', self.unread()).is_none() && self.fill()? {}
        let header = self.unread();
        let end = memchr::memchr(b'\n', header).unwrap_or(header.len());
        let header = header.get(..end).unwrap_or_default();
        let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
        if count(b';') > count(b',') {
            self.delimiter = b';';
        }
        Ok(())
    }

    /// Reads the next line that is not empty.
    pub(super) fn advance(&mut self) -> io::Result<Next> {
        loop {
            self.unquoted.clear();
            self.line.fields.clear();
            self.line.number = self.next_line;
            let Some(end) = self.find_line_end()? else {
                if self.unread.is_empty() {
                    return Ok(Next::End);
                }
                return self.skip_long_line();
            };
            let start = self.unread.start;
            let next = (end + 1).min(self.unread.end);
            let end = self.without_return(start, end);
            if start == end {
                self.consume(next, 1);
                continue;
            }
            if self.split(start, end) {
                self.line.raw = start..end;
                self.consume(next, 1);
                return Ok(Next::Record);
            }
            return self.advance_quoted(next, end);
        }
    }

    /// The number of the line that was read last.
    pub(super) const fn line_number(&self) -> u64 {
        self.line.number
    }

    /// The line that was read last, without its line break.
    pub(super) fn raw(&self) -> &[u8] {
        self.buffer.get(self.line.raw.clone()).unwrap_or_default()
    }

    /// How many fields it has.
    pub(super) const fn field_count(&self) -> usize {
        self.line.fields.len()
    }

    /// One of its fields; empty where there is none.
    pub(super) fn field(&self, at: usize) -> &[u8] {
        let Some(field) = self.line.fields.get(at) else {
            return &[];
        };
        let bytes = if field.is_unquoted {
            &self.unquoted
        } else {
            &self.buffer
        };
        bytes.get(field.bytes.clone()).unwrap_or_default()
    }

    /// All of its fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.field_count()).map(|at| self.field(at))
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.unread.clone()).unwrap_or_default()
    }

    fn consume(&mut self, next: usize, lines: u64) {
        self.unread.start = next;
        self.next_line += lines;
    }

    /// Where the next line break is, or the end of the text; `None` where the line is too long, or
    /// nothing is left.
    fn find_line_end(&mut self) -> io::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let unread = self.unread();
            let rest = unread.get(searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', rest) {
                let length = searched + at;
                return Ok((length <= LONGEST_LINE_BYTES).then_some(self.unread.start + length));
            }
            searched = unread.len();
            if searched > LONGEST_LINE_BYTES {
                return Ok(None);
            }
            if !self.fill()? {
                return Ok((searched > 0).then_some(self.unread.end));
            }
        }
    }

    fn without_return(&self, start: usize, end: usize) -> usize {
        match self.buffer.get(start..end) {
            Some([.., b'\r']) => end - 1,
            _ => end,
        }
    }

    /// Splits a line without quotes; false where it has one.
    fn split(&mut self, start: usize, end: usize) -> bool {
        let line = self.buffer.get(start..end).unwrap_or_default();
        let mut field_start = start;
        for at in memchr::memchr2_iter(self.delimiter, b'"', line) {
            if line.get(at) == Some(&b'"') {
                self.line.fields.clear();
                return false;
            }
            self.line.fields.push(Field {
                bytes: field_start..start + at,
                is_unquoted: false,
            });
            field_start = start + at + 1;
        }
        self.line.fields.push(Field {
            bytes: field_start..end,
            is_unquoted: false,
        });
        true
    }

    /// Reads a line with quotes, whose first line break is at `end`. Where they are broken only
    /// that first line is lost.
    fn advance_quoted(&mut self, next: usize, end: usize) -> io::Result<Next> {
        let first_line = end - self.unread.start;
        let first_next = next - self.unread.start;
        loop {
            match self.split_quoted() {
                Quoted::Ends { next, end } => {
                    self.line.raw = self.unread.start..end;
                    let breaks = self.buffer.get(self.line.raw.clone()).unwrap_or_default();
                    let lines = memchr::memchr_iter(b'\n', breaks).count();
                    self.consume(next, u64::try_from(lines).unwrap_or_default() + 1);
                    return Ok(Next::Record);
                }
                // At the text's end it is looked at once more: there a line may end without a break.
                Quoted::Unfinished
                    if self.unread.len() <= LONGEST_LINE_BYTES && !self.is_at_end =>
                {
                    self.fill()?;
                }
                Quoted::Unfinished | Quoted::Broken => {
                    let start = self.unread.start;
                    self.keep_whole(start..start + first_line);
                    self.consume(start + first_next, 1);
                    return Ok(Next::Broken(Fault::Quotes));
                }
            }
        }
    }

    fn split_quoted(&mut self) -> Quoted {
        self.line.fields.clear();
        self.unquoted.clear();
        let mut at = self.unread.start;
        loop {
            let field = if self.buffer.get(at) == Some(&b'"') && at < self.unread.end {
                self.quoted_field(at + 1)
            } else {
                self.plain_field(at)
            };
            let end = match field {
                Ok(end) => end,
                Err(other) => return other,
            };
            match self.buffer.get(end..self.unread.end).unwrap_or_default() {
                [byte, ..] if *byte == self.delimiter => at = end + 1,
                [b'\n', ..] => return Quoted::Ends { next: end + 1, end },
                [b'\r', b'\n', ..] => return Quoted::Ends { next: end + 2, end },
                [] | [b'\r'] if self.is_at_end => {
                    return Quoted::Ends {
                        next: self.unread.end,
                        end,
                    };
                }
                [] | [b'\r'] => return Quoted::Unfinished,
                _ => return Quoted::Broken,
            }
        }
    }

    /// Reads a field up to its delimiter or line break; answers where it ends.
    fn plain_field(&mut self, start: usize) -> Result<usize, Quoted> {
        let rest = self.buffer.get(start..self.unread.end).unwrap_or_default();
        let end = match memchr::memchr2(self.delimiter, b'\n', rest) {
            Some(at) if rest.get(at) == Some(&b'\n') => self.without_return(start, start + at),
            Some(at) => start + at,
            None if self.is_at_end => self.without_return(start, self.unread.end),
            None => return Err(Quoted::Unfinished),
        };
        self.line.fields.push(Field {
            bytes: start..end,
            is_unquoted: false,
        });
        Ok(end)
    }

    /// Reads a field behind its opening quote; answers the place behind the closing one.
    fn quoted_field(&mut self, start: usize) -> Result<usize, Quoted> {
        let unquoted_start = self.unquoted.len();
        let mut part = start;
        loop {
            let rest = self.buffer.get(part..self.unread.end).unwrap_or_default();
            let Some(quote) = memchr::memchr(b'"', rest).map(|at| part + at) else {
                return Err(self.unfinished());
            };
            match self.buffer.get(quote + 1..self.unread.end) {
                Some([b'"', ..]) => {
                    let text = self.buffer.get(part..=quote).unwrap_or_default();
                    self.unquoted.extend_from_slice(text);
                    part = quote + 2;
                }
                Some([]) if !self.is_at_end => return Err(Quoted::Unfinished),
                _ => {
                    let field = if part == start {
                        Field {
                            bytes: start..quote,
                            is_unquoted: false,
                        }
                    } else {
                        let text = self.buffer.get(part..quote).unwrap_or_default();
                        self.unquoted.extend_from_slice(text);
                        Field {
                            bytes: unquoted_start..self.unquoted.len(),
                            is_unquoted: true,
                        }
                    };
                    self.line.fields.push(field);
                    return Ok(quote + 1);
                }
            }
        }
    }

    const fn unfinished(&self) -> Quoted {
        if self.is_at_end {
            Quoted::Broken
        } else {
            Quoted::Unfinished
        }
    }

    /// Skips a line that no buffer holds; what of it was read first is kept.
    fn skip_long_line(&mut self) -> io::Result<Next> {
        let start = self.unread.start;
        let kept = start..(start + LONGEST_LINE_BYTES).min(self.unread.end);
        let text = self.buffer.get(kept).unwrap_or_default().to_vec();
        loop {
            let unread = self.unread();
            if let Some(at) = memchr::memchr(b'\n', unread) {
                let next = self.unread.start + at + 1;
                self.consume(next, 1);
                break;
            }
            self.unread.start = self.unread.end;
            if !self.fill()? {
                self.next_line += 1;
                break;
            }
        }
        self.unquoted = text;
        self.line.raw = 0..0;
        self.line.fields.push(Field {
            bytes: 0..self.unquoted.len(),
            is_unquoted: true,
        });
        Ok(Next::Broken(Fault::LineTooLong))
    }

    fn keep_whole(&mut self, raw: Range<usize>) {
        self.line.fields.clear();
        self.line.fields.push(Field {
            bytes: raw.clone(),
            is_unquoted: false,
        });
        self.line.raw = raw;
    }

    /// Reads more of the text; false at its end, or where it is longer than it may be.
    fn fill(&mut self) -> io::Result<bool> {
        if self.is_at_end {
            return Ok(false);
        }
        if self.unread.end == self.buffer.len() {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        let free = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
        let count = loop {
            match self.source.read(free) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.read_bytes += u64::try_from(count).unwrap_or(u64::MAX);
        self.unread.end += count;
        if count == 0 || self.is_too_long() {
            self.is_at_end = true;
        }
        if !self.has_begun && (self.is_at_end || self.unread.len() >= BYTE_ORDER_MARK.len()) {
            self.has_begun = true;
            if self.unread().starts_with(BYTE_ORDER_MARK) {
                self.unread.start += BYTE_ORDER_MARK.len();
            }
        }
        Ok(count > 0)
    }
}
