//! Several sorted runs as one.

use std::cmp::Ordering;

use super::external::{Payload, Record};
use super::run::Run;
use crate::error::SortError;

/// A heap of runs, the one with the least record first.
pub struct Merge<P> {
    runs: Vec<Run<P>>,
    /// Places in `runs` of those that have records, as a binary heap.
    heap: Vec<usize>,
    is_given: bool,
}

impl<P: Payload> Merge<P> {
    /// From runs that stand before their first record; of equal records the earlier run's come
    /// first.
    pub fn new(mut runs: Vec<Run<P>>) -> Result<Self, SortError> {
        for run in &mut runs {
            run.advance()?;
        }
        let heap = (0..runs.len()).collect();
        let mut merge = Self {
            runs,
            heap,
            is_given: false,
        };
        merge.drop_ended();
        for place in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(place);
        }
        Ok(merge)
    }

    fn drop_ended(&mut self) {
        let runs = &self.runs;
        self.heap
            .retain(|run| runs.get(*run).is_some_and(|run| run.record().is_some()));
    }

    /// The next record.
    pub fn next(&mut self) -> Result<Option<Record<'_, P>>, SortError> {
        if self.is_given {
            self.pass_first()?;
        }
        self.is_given = true;
        let first = self.heap.first().and_then(|run| self.runs.get(*run));
        Ok(first.and_then(Run::record))
    }

    fn pass_first(&mut self) -> Result<(), SortError> {
        let Some(run) = self.heap.first().copied() else {
            return Ok(());
        };
        if let Some(run) = self.runs.get_mut(run) {
            run.advance()?;
            if run.record().is_none() {
                self.heap.swap_remove(0);
            }
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if self.is_before(child, least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }

    fn is_before(&self, left: usize, right: usize) -> bool {
        let (Some(left), Some(right)) = (self.heap.get(left), self.heap.get(right)) else {
            return false;
        };
        let key = |run: &usize| self.runs.get(*run).map(Run::key);
        key(left).cmp(&key(right)).then(left.cmp(right)) == Ordering::Less
    }
}
