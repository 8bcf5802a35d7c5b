//! Lines that were not taken, written as CSV while the file is read: `linha,motivo,campo` and the
//! line's own fields.

use std::io::{self, Write};

use domain::sales::fault::Refusal;

/// The quarantine of one file. It begins with its first line: without one nothing is written.
pub struct Quarantine<W: Write> {
    writer: ::csv::Writer<W>,
    header: Vec<Vec<u8>>,
    lines: u64,
}

impl<W: Write> Quarantine<W> {
    /// Writes to `output`.
    #[must_use]
    pub fn new(output: W) -> Self {
        Self {
            writer: ::csv::WriterBuilder::new()
                .flexible(true)
                .from_writer(output),
            header: Vec::new(),
            lines: 0,
        }
    }

    /// How many lines it holds.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// The names of the file's own columns.
    pub(super) fn begin<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) {
        self.header = names.map(<[u8]>::to_vec).collect();
    }

    /// Puts a line down.
    pub(super) fn put<'a>(
        &mut self,
        line: u64,
        refusal: Refusal,
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        if self.lines == 0 {
            let own = [&b"linha"[..], b"motivo", b"campo"];
            let names = own.into_iter().chain(self.header.iter().map(Vec::as_slice));
            self.writer.write_record(names).map_err(io_error)?;
        }
        self.lines += 1;
        let number = line.to_string();
        let column = refusal.column.map_or("", |column| column.name());
        let own = [
            number.as_bytes(),
            refusal.fault.code().as_bytes(),
            column.as_bytes(),
        ];
        for field in own {
            self.writer.write_field(field).map_err(io_error)?;
        }
        for field in fields {
            self.writer.write_field(field).map_err(io_error)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(io_error)
    }

    /// Ends it and gives the output back.
    ///
    /// # Errors
    /// When the last lines can't be written.
    pub fn finish(self) -> io::Result<W> {
        self.writer
            .into_inner()
            .map_err(::csv::IntoInnerError::into_error)
    }
}

fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        _ => io::Error::from(io::ErrorKind::InvalidData),
    }
}
