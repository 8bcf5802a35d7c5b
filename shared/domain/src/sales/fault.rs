//! Why a line of a sales file is not taken, in words that hold no value of it.

/// What is wrong with a line. The code is stable: it stands in reports and quarantine files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A field that must be there is empty.
    Missing,
    /// The quantity is no whole number, or beyond ± 999,999,999.
    QuantityInvalid,
    /// The quantity can be read in two ways: `1.000`.
    QuantityAmbiguous,
    /// The price is no amount with at most two places.
    PriceInvalid,
    /// The price can be read in two ways: `1.234`.
    PriceAmbiguous,
    /// The price is below zero.
    PriceNegative,
    /// Quantity times price is beyond what a line may be worth.
    WorthTooMuch,
    /// The date is none.
    DateInvalid,
    /// The date is more than a day after the load.
    DateInFuture,
    /// The date is before 1990.
    DateAbsurd,
    /// The text has a control character or is no UTF-8.
    TextInvalid,
    /// The text is longer than its column.
    TextTooLong,
    /// The line has more or fewer fields than the header.
    FieldCount,
    /// A quote was opened and not closed, or closed in the middle of a field.
    Quotes,
    /// The line is longer than any line of sales.
    LineTooLong,
}

/// A column of a sales file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// `id_pedido`
    Order,
    /// `id_produto`
    Product,
    /// `quantidade`
    Quantity,
    /// `preco`
    Price,
    /// `data`
    Sold,
    /// `regiao`
    Region,
    /// `categoria`
    Category,
}

/// Why a line is not taken, and which field is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// What is wrong.
    pub fault: Fault,
    /// The field; none where the line as a whole is broken.
    pub column: Option<Column>,
}

impl Fault {
    /// Every fault, in the order of reports.
    pub const ALL: [Self; 15] = [
        Self::Missing,
        Self::QuantityInvalid,
        Self::QuantityAmbiguous,
        Self::PriceInvalid,
        Self::PriceAmbiguous,
        Self::PriceNegative,
        Self::WorthTooMuch,
        Self::DateInvalid,
        Self::DateInFuture,
        Self::DateAbsurd,
        Self::TextInvalid,
        Self::TextTooLong,
        Self::FieldCount,
        Self::Quotes,
        Self::LineTooLong,
    ];

    /// The code in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "campo_ausente",
            Self::QuantityInvalid => "quantidade_invalida",
            Self::QuantityAmbiguous => "quantidade_ambigua",
            Self::PriceInvalid => "preco_invalido",
            Self::PriceAmbiguous => "preco_ambiguo",
            Self::PriceNegative => "preco_negativo",
            Self::WorthTooMuch => "valor_excessivo",
            Self::DateInvalid => "data_invalida",
            Self::DateInFuture => "data_no_futuro",
            Self::DateAbsurd => "data_absurda",
            Self::TextInvalid => "texto_invalido",
            Self::TextTooLong => "texto_longo",
            Self::FieldCount => "numero_de_campos",
            Self::Quotes => "aspas_quebradas",
            Self::LineTooLong => "linha_longa",
        }
    }

    /// This fault in a column.
    #[must_use]
    pub const fn of(self, column: Column) -> Refusal {
        Refusal {
            fault: self,
            column: Some(column),
        }
    }

    /// This fault of a line as a whole.
    #[must_use]
    pub const fn of_line(self) -> Refusal {
        Refusal {
            fault: self,
            column: None,
        }
    }
}

impl Column {
    /// Every column, in the contract's order.
    pub const ALL: [Self; 7] = [
        Self::Order,
        Self::Product,
        Self::Quantity,
        Self::Price,
        Self::Sold,
        Self::Region,
        Self::Category,
    ];

    /// Its name in a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "id_pedido",
            Self::Product => "id_produto",
            Self::Quantity => "quantidade",
            Self::Price => "preco",
            Self::Sold => "data",
            Self::Region => "regiao",
            Self::Category => "categoria",
        }
    }

    /// Whether a file must have it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        !matches!(self, Self::Region | Self::Category)
    }
}
