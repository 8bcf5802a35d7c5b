//! What long work shows on standard error: a moving bar on a terminal, elsewhere a line for each
//! step and one every ten seconds.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::note;

/// How often work that goes on says so.
const EVERY: Duration = Duration::from_secs(10);

/// One step with a known length.
pub struct Progress {
    bar: ProgressBar,
    /// None on a terminal.
    lines: Option<Mutex<Lines>>,
    begun: Instant,
}

impl Progress {
    /// Begins a step.
    pub fn begin(what: &'static str, length: usize) -> Self {
        let bar = ProgressBar::new(length as u64).with_message(what);
        let style = ProgressStyle::with_template("{msg:>12} {wide_bar} {pos}/{len} {elapsed}");
        let bar = style.map_or(bar.clone(), |style| bar.with_style(style));
        let lines = bar.is_hidden().then(|| Mutex::new(Lines::of(what, length)));
        if lines.is_some() {
            note(&format!("{what}: {length}"));
        }
        Self {
            bar,
            lines,
            begun: Instant::now(),
        }
    }

    /// So many wait still.
    pub fn left(&self, left: u64) {
        let length = self.bar.length().unwrap_or_default();
        self.bar.set_position(length.saturating_sub(left));
        self.tell(false);
    }

    /// One more is done.
    pub fn one_done(&self) {
        self.advance(1);
    }

    /// So many more are done.
    pub fn advance(&self, done: usize) {
        self.bar.inc(done as u64);
        self.tell(false);
    }

    /// All is done.
    pub fn end(&self) {
        self.bar.finish();
        self.tell(true);
    }

    fn tell(&self, is_end: bool) {
        let Some(Ok(mut lines)) = self.lines.as_ref().map(Mutex::lock) else {
            return;
        };
        if let Some(line) = lines.line(self.bar.position(), self.begun.elapsed(), is_end) {
            note(&line);
        }
    }
}

/// The lines of a step where nobody sees a bar.
struct Lines {
    what: &'static str,
    length: usize,
    /// When the last line came, from the step's beginning.
    told: Duration,
}

impl Lines {
    const fn of(what: &'static str, length: usize) -> Self {
        Self {
            what,
            length,
            told: Duration::ZERO,
        }
    }

    /// What to say `elapsed` after the beginning, when it is time to.
    fn line(&mut self, done: u64, elapsed: Duration, is_end: bool) -> Option<String> {
        if !is_end && elapsed < self.told + EVERY {
            return None;
        }
        self.told = elapsed;
        let (what, length, elapsed_s) = (self.what, self.length, elapsed.as_secs());
        Some(format!("{what}: {done} of {length} after {elapsed_s} s"))
    }
}

/// Says that `what` runs, and says so again every ten seconds until `work` ends.
pub async fn while_it_runs<T>(what: &str, work: impl Future<Output = T>) -> T {
    note(&format!("{what} runs"));
    let begun = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(EVERY, &mut work).await {
            Ok(done) => return done,
            Err(_elapsed) => {
                let elapsed_s = begun.elapsed().as_secs();
                note(&format!("{what} runs still, after {elapsed_s} s"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_every_ten_seconds_and_at_the_end() {
        let mut lines = Lines::of("clicks", 60);
        let mut at = |seconds, done, is_end| {
            let line = lines.line(done, Duration::from_secs(seconds), is_end);
            line.unwrap_or_default()
        };
        assert_eq!(at(1, 3, false), "");
        assert_eq!(at(10, 30, false), "clicks: 30 of 60 after 10 s");
        assert_eq!(at(19, 50, false), "");
        assert_eq!(at(20, 55, false), "clicks: 55 of 60 after 20 s");
        assert_eq!(at(21, 60, true), "clicks: 60 of 60 after 21 s");
    }
}
