//! The place of a load's lines among those that the lake has: which are replaced, which come.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use domain::{
    lake::{DataFile, SnapshotId, Table, WrittenFile},
    sales::FileRank,
};
use lake::{
    Lake, LakeError, OrderFate, OrderSet, Repeated, Rewritten, Sorted, SortedOrders, discard,
    orders_of, rewrite, write,
};
use sql_store::{
    Store, StoreError, Tx,
    lake::{FilesError, files_at, newest_snapshot},
    sales_loads::{Load, LoadedVersion, loaded_versions, ranks},
};

use crate::{
    Parts,
    limits::{FILE_RESERVE_MS, Work},
    owners::{Marks, Owners, Verdict},
};

/// The tables that a load reads and changes.
pub(crate) const TABLES: [Table; 2] = [Table::Sales, Table::OrdersWithoutSale];

/// What a load is going to change, worked out from a snapshot.
pub(crate) struct Placed {
    /// The snapshot.
    pub(crate) base: SnapshotId,
    /// The loaded versions of the same key, as they were then.
    pub(crate) versions: Vec<LoadedVersion>,
    /// Files that come.
    pub(crate) added: Vec<WrittenFile>,
    /// Files that go.
    pub(crate) ended: Vec<i64>,
    /// Lines of this load that count.
    pub(crate) lines: u64,
    /// Orders of other files that it takes the place of.
    pub(crate) replaced_orders: u64,
    /// Lines that are the same to the letter as an earlier one.
    pub(crate) repeated: Repeated,
}

/// Why a load found no place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The snapshot is gone: look again.
    #[error("the snapshot is gone")]
    SnapshotGone,
    #[error("the lake is not registered")]
    NotRegistered,
    /// What it would search and write anew costs more than a load may.
    #[error("more of the lake would be written anew than time suffices for")]
    TooMuchWork,
    #[error("the time of this attempt did not suffice")]
    OutOfTime,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl From<FilesError> for PlaceError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::SnapshotGone => Self::SnapshotGone,
            FilesError::Store(error) => Self::Store(error),
        }
    }
}

/// Where a load's work happens.
pub(crate) struct Site<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) lake: &'a Lake,
    pub(crate) folder: &'a Path,
}

impl Site<'_> {
    /// Lets no file begin for which there may be no time.
    fn look_at_clock(&self) -> Result<(), PlaceError> {
        let now = (self.parts.clock)();
        if now.plus_millis(FILE_RESERVE_MS) > self.parts.deadline {
            return Err(PlaceError::OutOfTime);
        }
        Ok(())
    }
}

/// Finds what the load changes, and writes the files that come. What was written before a failure
/// is deleted as far as it can be.
pub(crate) async fn place(
    site: &Site<'_>,
    load: &Load,
    sorted: &Sorted,
) -> Result<Placed, PlaceError> {
    let store = &site.parts.store;
    let newest = newest_snapshot(store).await?;
    let base = newest.ok_or(PlaceError::NotRegistered)?.id;
    let versions = versions_of(store, load).await?;
    let mut candidates = Vec::new();
    for table in TABLES {
        for file in files_at(store, table, base).await? {
            candidates.push((table, file));
        }
    }
    let owners = owners_of(store, load, &versions, &candidates).await?;
    candidates.retain(|(_, file)| may_concern(file, sorted, &owners));
    let mut added = Vec::new();
    let mut placing = Placing {
        site,
        owners,
        ours: OrderSet::new(),
        others: Marks::default(),
        replaced: Marks::default(),
        without_sale: SortedOrders::new(site.folder),
        ended: Vec::new(),
    };
    let outcome = placing.run(load, sorted, &candidates, &mut added).await;
    match outcome {
        Ok((lines, repeated)) => Ok(Placed {
            base,
            versions,
            added,
            ended: placing.ended,
            lines,
            replaced_orders: placing.replaced.count(),
            repeated,
        }),
        Err(error) => {
            discard(site.lake, &added).await;
            Err(error)
        }
    }
}

/// The loaded versions of the load's key.
async fn versions_of(store: &Store, load: &Load) -> Result<Vec<LoadedVersion>, StoreError> {
    store
        .transact(async |tx: &Tx| loaded_versions(tx, &load.file.bucket, &load.file.key).await)
        .await
}

async fn owners_of(
    store: &Store,
    load: &Load,
    versions: &[LoadedVersion],
    candidates: &[(Table, DataFile)],
) -> Result<Owners, StoreError> {
    let own = (load.file.modified_ms, load.number);
    let is_newer = |version: &&LoadedVersion| (version.modified_ms, version.number) > own;
    let is_superseded = versions.iter().any(|version| is_newer(&version));
    let older_versions: BTreeSet<i64> = versions
        .iter()
        .filter(|version| !is_newer(version))
        .map(|version| version.number)
        .collect();
    let numbers: BTreeSet<i64> = candidates
        .iter()
        .filter_map(|(_, file)| file.loads)
        .flat_map(|(least, greatest)| least..=greatest)
        .collect();
    let numbers: Vec<i64> = numbers.into_iter().collect();
    let others: BTreeMap<i64, FileRank> = ranks(store, &numbers).await?;
    let rank = FileRank {
        modified_ms: load.file.modified_ms,
        key: load.file.key.clone(),
    };
    Ok(Owners {
        own: (rank, load.number),
        others: others
            .into_iter()
            .map(|(number, rank)| (number, (rank, number)))
            .collect(),
        older_versions: if is_superseded {
            BTreeSet::new()
        } else {
            older_versions
        },
        is_superseded,
    })
}

/// Whether the file may hold an order that the load speaks of, or lines of an older version.
fn may_concern(file: &DataFile, sorted: &Sorted, owners: &Owners) -> bool {
    let shares_orders = match (&file.orders, sorted.order_range()) {
        (Some((least, greatest)), Some((first, last))) => {
            least.as_str() <= last && greatest.as_str() >= first
        }
        (_, None) => false,
        (None, Some(_)) => true,
    };
    shares_orders || may_hold_older(file, owners)
}

fn may_hold_older(file: &DataFile, owners: &Owners) -> bool {
    match file.loads {
        Some((least, greatest)) => owners
            .older_versions
            .range(least..=greatest)
            .next()
            .is_some(),
        None => !owners.older_versions.is_empty(),
    }
}

struct Placing<'a> {
    site: &'a Site<'a>,
    owners: Owners,
    /// The orders that the file speaks of, where the lake may have some of them.
    ours: OrderSet,
    /// Those on which another load has the last word.
    others: Marks,
    /// Those whose lines this load takes the place of.
    replaced: Marks,
    /// Orders of older versions that nobody speaks of any more.
    without_sale: SortedOrders,
    ended: Vec<i64>,
}

impl Placing<'_> {
    async fn run(
        &mut self,
        load: &Load,
        sorted: &Sorted,
        candidates: &[(Table, DataFile)],
        added: &mut Vec<WrittenFile>,
    ) -> Result<(u64, Repeated), PlaceError> {
        if !candidates.is_empty() {
            self.ours = sorted.order_set().map_err(LakeError::from)?;
            self.others = Marks::on(&self.ours);
            self.replaced = Marks::on(&self.ours);
        }
        let losing = self.losing(sorted, candidates).await?;
        for (table, file) in losing {
            self.site.look_at_clock()?;
            self.replace(table, file, added).await?;
        }
        self.site.look_at_clock()?;
        let own_fate = if self.owners.is_superseded {
            OrderFate::WithoutSale
        } else {
            OrderFate::Ours
        };
        let has_others = self.others.count() > 0;
        if !has_others {
            self.ours = OrderSet::new();
        }
        let (ours, others) = (&self.ours, &self.others);
        let fate = |order: &str| match ours.position(order) {
            Some(place) if has_others && others.is_marked(place) => OrderFate::Others,
            _ => own_fate,
        };
        let Site {
            parts,
            lake,
            folder,
        } = self.site;
        let without_sale = std::mem::replace(&mut self.without_sale, SortedOrders::new(folder));
        let written = write(
            lake,
            sorted,
            load.number,
            folder,
            &fate,
            without_sale,
            parts.settings.repeated_lines,
        )
        .await?;
        added.extend(written.files);
        Ok((written.lines, written.repeated))
    }

    /// Looks through the candidates; those that lose rows, where all of them can be written anew in
    /// time.
    async fn losing<'c>(
        &mut self,
        sorted: &Sorted,
        candidates: &'c [(Table, DataFile)],
    ) -> Result<Vec<(Table, &'c DataFile)>, PlaceError> {
        let most_us = self.site.parts.settings.bounds.most_work_us;
        let is_searched =
            |file: &DataFile| !self.ours.is_named() || may_hold_older(file, &self.owners);
        let searched = candidates.iter().filter(|(_, file)| is_searched(file));
        let mut work = Work {
            lines: sorted.lines(),
            files: candidates.len() as u64,
            searched_rows: searched.map(|(_, file)| file.rows).sum(),
            rewritten_rows: 0,
        };
        let mut losing = Vec::new();
        for (table, file) in candidates {
            if work.cost_us() > most_us {
                return Err(PlaceError::TooMuchWork);
            }
            self.site.look_at_clock()?;
            if self.loses_rows(*table, file).await? {
                work.rewritten_rows += file.rows;
                losing.push((*table, file));
            }
        }
        if work.cost_us() > most_us && !losing.is_empty() {
            return Err(PlaceError::TooMuchWork);
        }
        Ok(losing)
    }

    /// Looks through a file; whether it loses rows.
    async fn loses_rows(&mut self, table: Table, file: &DataFile) -> Result<bool, PlaceError> {
        let Self {
            owners,
            ours,
            others,
            replaced,
            without_sale,
            ..
        } = self;
        let wanted = (!may_hold_older(file, owners)).then_some(&*ours);
        let mut loses = false;
        let mut found = |order: &str, load: i64| {
            let place = ours.position(order);
            match owners.judge(load, place.is_some()) {
                Verdict::Unconcerned => {}
                Verdict::Stays => others.mark(place.unwrap_or(usize::MAX)),
                Verdict::Goes => {
                    loses = true;
                    if table == Table::Sales {
                        replaced.mark(place.unwrap_or(usize::MAX));
                    }
                }
                // An order that has no sale already stays as it is.
                Verdict::GoesWithoutSale if table == Table::Sales => {
                    loses = true;
                    without_sale.push(order, load)?;
                }
                Verdict::GoesWithoutSale => {}
            }
            Ok(())
        };
        orders_of(self.site.lake, table, file, wanted, &mut found).await?;
        Ok(loses)
    }

    /// Writes a file anew without the rows that it loses.
    async fn replace(
        &mut self,
        table: Table,
        file: &DataFile,
        added: &mut Vec<WrittenFile>,
    ) -> Result<(), PlaceError> {
        let (owners, ours) = (&self.owners, &self.ours);
        let drops = |order: &str, load: i64| match owners.judge(load, ours.contains(order)) {
            Verdict::Goes => true,
            Verdict::GoesWithoutSale => table == Table::Sales,
            Verdict::Stays | Verdict::Unconcerned => false,
        };
        match rewrite(self.site.lake, table, file, &drops, self.site.folder).await? {
            Rewritten::Unchanged => {}
            Rewritten::Emptied => self.ended.push(file.id),
            Rewritten::Replaced(written) => {
                self.ended.push(file.id);
                added.push(*written);
            }
        }
        Ok(())
    }
}
