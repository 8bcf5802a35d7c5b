//! What the template sets.

use lake::RepeatedLines;

use crate::limits::{BadLines, Bounds};

/// What may be set of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many bad lines a file may have.
    pub bad_lines: BadLines,
    /// What becomes of lines that are the same to the letter as an earlier one.
    pub repeated_lines: RepeatedLines,
    /// How the work is gone about; the template does not set it.
    pub bounds: Bounds,
}

/// A setting that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{name} {rule}: mend it in template.yaml")]
pub struct BadSetting {
    name: &'static str,
    rule: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bad_lines: BadLines::default(),
            repeated_lines: RepeatedLines::Kept,
            bounds: Bounds::default(),
        }
    }
}

impl Settings {
    /// From `SALES_MOST_BAD_BASIS_POINTS`, `SALES_MOST_BAD_LINES` and `SALES_REPEATED_LINES`
    /// (`manter` or `descartar`); what is not set is as in [`Settings::default`].
    ///
    /// # Errors
    /// Names the setting.
    pub fn read<'a>(
        variable: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<Self, BadSetting> {
        let number = |name, most: u64| match variable(name) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) if number <= most => Ok(Some(number)),
                _ => Err(BadSetting {
                    name,
                    rule: "must be a whole number within its bounds",
                }),
            },
        };
        let default = BadLines::default();
        let bad_lines = BadLines {
            share_basis_points: number("SALES_MOST_BAD_BASIS_POINTS", 10_000)?
                .unwrap_or(default.share_basis_points),
            lines: number("SALES_MOST_BAD_LINES", u64::MAX)?.unwrap_or(default.lines),
        };
        let repeated_lines = match variable("SALES_REPEATED_LINES") {
            None | Some("manter") => RepeatedLines::Kept,
            Some("descartar") => RepeatedLines::Dropped,
            Some(_) => {
                return Err(BadSetting {
                    name: "SALES_REPEATED_LINES",
                    rule: "must be manter or descartar",
                });
            }
        };
        Ok(Self {
            bad_lines,
            repeated_lines,
            bounds: Bounds::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_counts_and_what_is_wrong_is_named() {
        assert_eq!(Settings::read(|_| None), Ok(Settings::default()));
        let settings = Settings::read(|name| match name {
            "SALES_MOST_BAD_BASIS_POINTS" => Some("250"),
            "SALES_MOST_BAD_LINES" => Some("7"),
            _ => Some("descartar"),
        });
        let expected = Settings {
            bad_lines: BadLines {
                share_basis_points: 250,
                lines: 7,
            },
            repeated_lines: RepeatedLines::Dropped,
            bounds: Bounds::default(),
        };
        assert_eq!(settings, Ok(expected));
        for (name, value) in [
            ("SALES_MOST_BAD_BASIS_POINTS", "10001"),
            ("SALES_MOST_BAD_LINES", "-1"),
            ("SALES_REPEATED_LINES", "sim"),
        ] {
            let refused = Settings::read(|asked| (asked == name).then_some(value)).unwrap_err();
            assert!(refused.to_string().contains(name));
        }
    }
}
