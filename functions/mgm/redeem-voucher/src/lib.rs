//! My vouchers: reserve, commit, release.
