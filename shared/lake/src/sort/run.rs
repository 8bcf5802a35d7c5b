//! A run of sorted records on disk, read from its beginning.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::codec;
use super::external::{Payload, Record};
use crate::error::SortError;

/// Memory for the buffers of all runs together.
const BUFFERS_BYTES: usize = 32 * 1024 * 1024;
/// More than a record ever needs.
const LARGEST_RECORD_BYTES: usize = super::LONGEST_ORDER_BYTES + 128;

/// A reader of one run.
///
/// It reads by position, so that several readers may share the file.
pub struct Run<P> {
    file: File,
    position: u64,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_read: bool,
    day: i32,
    order: String,
    payload: Option<P>,
}

impl<P: Payload> Run<P> {
    /// Opens one of `runs` runs at its beginning.
    pub fn open(file: &File, runs: usize) -> Result<Self, SortError> {
        let size = (BUFFERS_BYTES / runs.max(1)).clamp(4 * LARGEST_RECORD_BYTES, 1 << 20);
        Ok(Self {
            file: file.try_clone()?,
            position: 0,
            buffer: vec![0; size],
            start: 0,
            end: 0,
            is_read: false,
            day: 0,
            order: String::new(),
            payload: None,
        })
    }

    /// The record it stands on; none before the first and after the last.
    pub fn record(&self) -> Option<Record<'_, P>> {
        self.payload.map(|payload| Record {
            day: self.day,
            order: &self.order,
            payload,
        })
    }

    /// The key of the record it stands on.
    pub fn key(&self) -> (i32, &[u8]) {
        (self.day, self.order.as_bytes())
    }

    /// Goes to the next record.
    pub fn advance(&mut self) -> Result<(), SortError> {
        if self.end - self.start < LARGEST_RECORD_BYTES && !self.is_read {
            self.refill()?;
        }
        if self.start == self.end {
            self.payload = None;
            return Ok(());
        }
        let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
        let mut rest = bytes;
        let broken = SortError::Folder(std::io::ErrorKind::InvalidData);
        let read = read_record::<P>(&mut rest, self.day, &mut self.order);
        let (day, payload) = read.ok_or(broken)?;
        (self.day, self.payload) = (day, Some(payload));
        self.start += bytes.len() - rest.len();
        Ok(())
    }

    fn refill(&mut self) -> Result<(), SortError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while let Some(free) = self.buffer.get_mut(self.end..)
            && !free.is_empty()
        {
            let read = self.file.read_at(free, self.position)?;
            self.position += read as u64;
            if read == 0 {
                self.is_read = true;
                break;
            }
            self.end += read;
        }
        Ok(())
    }
}

fn read_record<P: Payload>(
    bytes: &mut &[u8],
    last_day: i32,
    order: &mut String,
) -> Option<(i32, P)> {
    let day = i64::from(last_day).checked_add(codec::take_signed(bytes)?)?;
    let day = i32::try_from(day).ok()?;
    let same = usize::try_from(codec::take(bytes)?).ok()?;
    let suffix = usize::try_from(codec::take(bytes)?).ok()?;
    let suffix = codec::take_bytes(bytes, suffix)?;
    // What is shared may end inside a character: orders are put together as bytes.
    let mut whole = std::mem::take(order).into_bytes();
    whole.truncate(same);
    whole.extend_from_slice(suffix);
    *order = String::from_utf8(whole).ok()?;
    Some((day, P::decode(day, bytes)?))
}
