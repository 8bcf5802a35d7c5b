//! Scheduled jobs: what may run for which logical date.

/// A job and the jobs that must be done for the same logical date before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The name that operators know, such as `mgm_set_promoters`.
    pub name: &'static str,
    /// Jobs that must be done for the date first.
    pub after: &'static [&'static str],
}

/// Which database holds the ledger of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ledger {
    /// Database 1.
    Shop,
    /// Database 2, so that the jobs of telesales never open database 1.
    Telesales,
}

impl Job {
    /// Where its runs are written down.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        if [TELESALES_EXPIRE_CONTACTS, TELESALES_RECONCILE].contains(self) {
            Ledger::Telesales
        } else {
            Ledger::Shop
        }
    }
}

/// Makes promoters of eligible customers.
pub const MGM_SET_PROMOTERS: Job = Job {
    name: "mgm_set_promoters",
    after: &[],
};
/// Sweeps for completed trips that no message announced.
pub const MGM_CREATE_PROMOTER_VOUCHER: Job = Job {
    name: "mgm_create_promoter_voucher",
    after: &[],
};
/// Anchors the heads of the day's audit chains.
pub const MGM_ANCHOR_AUDIT: Job = Job {
    name: "mgm_anchor_audit",
    after: &[],
};

/// Deletes what telesales has kept for long enough.
pub const TELESALES_EXPIRE_CONTACTS: Job = Job {
    name: "televendas_expirar_contatos",
    after: &[],
};
/// Compares database 2 with the company's customers.
pub const TELESALES_RECONCILE: Job = Job {
    name: "televendas_reconciliar",
    after: &[],
};

/// Removes the lake's files that ended a day ago or that nobody committed.
pub const LAKE_CLEAN: Job = Job {
    name: "lago_limpar",
    after: &[],
};

/// [`PIPELINE_ECOMMERCE`], 1: the orders of a day as a file of sales, which is loaded like any other.
pub const SALES_EXPORT: Job = Job {
    name: "vendas_exportar",
    after: &[],
};

/// [`PIPELINE_ECOMMERCE`], 2: checks what the day's loads made of the lake.
pub const SALES_CHECK_QUALITY: Job = Job {
    name: "vendas_verificar_qualidade",
    after: &[SALES_EXPORT.name],
};
/// [`PIPELINE_ECOMMERCE`], 3: brings the lake's new files into the warehouse.
pub const VENDAS_SINCRONIZAR_ARMAZEM: Job = Job {
    name: "vendas_sincronizar_armazem",
    after: &[SALES_CHECK_QUALITY.name],
};

/// Jobs that belong together, in the order in which they run for a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graph {
    /// The name that operators know.
    pub name: &'static str,
    /// Its jobs, each after those before it.
    pub jobs: &'static [Job],
}

/// The sales of a day from their orders to the warehouse. Between its first job and its second the
/// exported file is loaded like any other, which is no job.
pub const PIPELINE_ECOMMERCE: Graph = Graph {
    name: "pipeline_ecommerce",
    jobs: &[
        SALES_EXPORT,
        SALES_CHECK_QUALITY,
        VENDAS_SINCRONIZAR_ARMAZEM,
    ],
};

/// Asks a warehouse's API for levels of stock, several times a day: a day's run is its last poll.
pub const STOCK_POLL: Job = Job {
    name: "estoque_consultar",
    after: &[],
};

/// Every job there is.
pub const ALL: [Job; 10] = [
    MGM_SET_PROMOTERS,
    MGM_CREATE_PROMOTER_VOUCHER,
    MGM_ANCHOR_AUDIT,
    TELESALES_EXPIRE_CONTACTS,
    TELESALES_RECONCILE,
    VENDAS_SINCRONIZAR_ARMAZEM,
    LAKE_CLEAN,
    SALES_EXPORT,
    SALES_CHECK_QUALITY,
    STOCK_POLL,
];

/// How the run of a job for a date stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// Somebody holds the lease and works.
    Running,
    /// It was done.
    Done,
    /// Its last attempt ended in an error, or died.
    Failed,
}

impl RunStatus {
    /// Whether it may start again; `again` says that what was done is to be done once more.
    #[must_use]
    pub const fn may_start(self, again: bool) -> bool {
        match self {
            Self::Running => false,
            Self::Done => again,
            Self::Failed => true,
        }
    }
}

/// Why a job does not start for a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// It was done before: the same date gives the same result.
    #[error("done before for this date")]
    AlreadyDone,
    /// Another instance holds the lease.
    #[error("another instance is running it for this date")]
    Running,
    /// An operator paused the job.
    #[error("paused by an operator")]
    Paused,
    /// A job that must be done first is not.
    #[error("{0} is not done for this date")]
    Waiting(&'static str),
}
