//! The one link of a promoter.
