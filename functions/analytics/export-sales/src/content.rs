//! The file while it is written: the same lines are always the same bytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use domain::money::Centavos;
use sha2::{Digest, Sha256};
use sql_store::{
    sales_export::{Export, SoldOrder},
    sales_source::SourceLine,
};
use tempfile::NamedTempFile;

/// The contract of a sales file.
const HEADER: [&str; 7] = [
    "id_pedido",
    "id_produto",
    "quantidade",
    "preco",
    "data",
    "regiao",
    "categoria",
];

/// A file of sales in the temporary folder.
pub struct Content {
    csv: csv::Writer<Hashed>,
    local: NamedTempFile,
    lines: i64,
    orders: i64,
    last_order: String,
}

/// A finished file.
pub struct Finished {
    local: NamedTempFile,
    /// What it is.
    pub export: Export,
}

impl Finished {
    /// Where it lies on this machine.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.local.path()
    }
}

/// Writes on, and hashes what was written.
struct Hashed {
    file: BufWriter<File>,
    digest: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Content {
    /// An empty file.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn begin() -> io::Result<Self> {
        let local = NamedTempFile::new()?;
        let mut csv = csv::Writer::from_writer(Hashed {
            file: BufWriter::new(local.reopen()?),
            digest: Sha256::new(),
        });
        csv.write_record(HEADER)?;
        Ok(Self {
            csv,
            local,
            lines: 0,
            orders: 0,
            last_order: String::new(),
        })
    }

    /// Adds an order: its lines, or, where it is void, that each has no sale any more. Their region
    /// and category are what the load finds for them.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn add_order(&mut self, order: &SoldOrder) -> io::Result<()> {
        for line in &order.lines {
            let quantity = if order.is_void { 0 } else { line.quantity };
            let (quantity, price) = (quantity.to_string(), reais(line.price_centavos));
            let sold = order.sold.to_string();
            self.write(
                &order.id,
                &[&line.product_id, &quantity, &price, &sold, "", ""],
            )?;
        }
        Ok(())
    }

    /// Adds a line as a company's database told it.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn add_line(&mut self, line: &SourceLine) -> io::Result<()> {
        self.write(
            &line.order,
            &[
                &line.product,
                &line.quantity,
                &line.price,
                &line.sold,
                &line.region,
                &line.category,
            ],
        )
    }

    fn write(&mut self, order: &str, rest: &[&str; 6]) -> io::Result<()> {
        let fields = std::iter::once(order).chain(rest.iter().copied());
        self.csv.write_record(fields)?;
        self.lines += 1;
        if self.last_order != order {
            self.orders += 1;
            order.clone_into(&mut self.last_order);
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the temporary folder can't be written.
    pub fn finish(self) -> io::Result<Finished> {
        let hashed = self
            .csv
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        let mut file = hashed.file;
        file.flush()?;
        let hash = hashed.digest.finalize();
        Ok(Finished {
            local: self.local,
            export: Export {
                sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
                lines_written: self.lines,
                orders_written: self.orders,
            },
        })
    }
}

/// `39.90`.
fn reais(centavos: i64) -> String {
    match Centavos::new(centavos) {
        Ok(amount) => amount.to_string(),
        // The store holds what was a price when it came.
        Err(_) => String::new(),
    }
}
