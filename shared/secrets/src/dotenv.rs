//! The `.env` file as python-dotenv reads it, because the companies' files were written for it.
//!
//! A `$` without braces stays as it is, so that a password keeps it; `${NAME}` and
//! `${NAME:-default}` are replaced by the process environment, else by an earlier line.

use std::collections::BTreeMap;

use crate::error::Problem;
use crate::process::ProcessEnvironment;

/// Parses the file; a name without `=` counts as missing.
pub(crate) fn parse(
    text: &str,
    process: &ProcessEnvironment,
) -> Result<BTreeMap<String, String>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = BTreeMap::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let line = text.len() - rest.len();
        let broken = || Problem::DotenvBroken {
            line: line_number(text, line),
        };
        let (setting, after) = read_line(rest).ok_or_else(broken)?;
        if let Some((name, value)) = setting {
            let value = interpolate(&value, &values, process);
            values.insert(name, value);
        }
        rest = after.trim_start();
    }
    Ok(values)
}

fn line_number(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.matches('\n').count() + 1
}

type Setting = Option<(String, String)>;

/// Reads one setting, which may span lines within quotes, or one comment.
fn read_line(rest: &str) -> Option<(Setting, &str)> {
    if rest.starts_with('#') {
        return Some((None, after_line(rest)));
    }
    let rest = match rest.strip_prefix("export") {
        Some(after) if after.starts_with([' ', '\t']) => skip_blanks(after),
        _ => rest,
    };
    let (name, rest) = read_name(rest)?;
    let rest = skip_blanks(rest);
    let Some(rest) = rest.strip_prefix('=') else {
        return end_of_line(rest).map(|rest| (None, rest));
    };
    let rest = skip_blanks(rest);
    let (value, rest) = match rest.chars().next() {
        Some('\'') => read_quoted(rest, '\'')?,
        Some('"') => read_quoted(rest, '"')?,
        _ => return Some((Some((name, unquoted(rest))), after_line(rest))),
    };
    end_of_line(rest).map(|rest| (Some((name, value)), rest))
}

fn read_name(rest: &str) -> Option<(String, &str)> {
    if let Some(quoted) = rest.strip_prefix('\'') {
        let (name, rest) = quoted.split_once('\'')?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    }
    let end = rest
        .find(|c: char| c == '=' || c == '#' || c.is_whitespace())
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end)?;
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// Reads a quoted value with the escapes that python-dotenv knows for its kind of quote.
fn read_quoted(rest: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return Some((value, rest.get(at + 1..)?));
        }
        let escaped = characters.peek().filter(|_| character == '\\');
        match escaped.and_then(|(_, next)| unescape(*next, quote)) {
            Some(plain) => {
                value.push(plain);
                characters.next();
            }
            None => value.push(character),
        }
    }
    None
}

fn unescape(character: char, quote: char) -> Option<char> {
    match character {
        '\\' | '\'' => Some(character),
        _ if quote == '\'' => None,
        '"' => Some('"'),
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        _ => None,
    }
}

/// The rest of the line without a comment, which begins with a blank and `#`.
fn unquoted(rest: &str) -> String {
    let line = rest.split(['\r', '\n']).next().unwrap_or(rest);
    let comment = line
        .char_indices()
        .zip(line.chars().skip(1))
        .find_map(|((at, this), next)| (this.is_whitespace() && next == '#').then_some(at));
    line.get(..comment.unwrap_or(line.len()))
        .unwrap_or(line)
        .trim_end()
        .to_owned()
}

fn skip_blanks(rest: &str) -> &str {
    rest.trim_start_matches([' ', '\t'])
}

fn after_line(rest: &str) -> &str {
    rest.find(['\r', '\n'])
        .and_then(|end| rest.get(end..))
        .unwrap_or("")
}

/// After a value only blanks and a comment may follow.
fn end_of_line(rest: &str) -> Option<&str> {
    let rest = skip_blanks(rest);
    if rest.is_empty() || rest.starts_with(['\r', '\n', '#']) {
        Some(after_line(rest))
    } else {
        None
    }
}

fn interpolate(
    value: &str,
    earlier: &BTreeMap<String, String>,
    process: &ProcessEnvironment,
) -> String {
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, after)) = after.split_once('}') else {
            break;
        };
        result.push_str(before);
        let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
        let known = process
            .get(name)
            .or_else(|| earlier.get(name).map(String::as_str));
        result.push_str(known.unwrap_or(default));
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> BTreeMap<String, String> {
        parse(text, &ProcessEnvironment::from([("HOST", "db.interno")])).unwrap()
    }

    #[test]
    fn values_are_read_as_python_dotenv_reads_them() {
        let text = concat!(
            "\u{feff}# comment\r\n",
            "A=plain # comment\r\n",
            "export B = spaced value  \n",
            "\n",
            "C='single # \\'x\\' \\n'\n",
            "D=\"double\\t\\\"x\\\"\nsecond line\" # comment\n",
            "E=pa$$word#1$A\n",
            "F=\n",
            "G\n",
            "H=mysql+aiomysql://u:p%40@${HOST}:3306/${NAME:-feira}${A}\n",
            "'I'=1"
        );
        let values = parsed(text);
        assert_eq!(values["A"], "plain");
        assert_eq!(values["B"], "spaced value");
        assert_eq!(values["C"], "single # 'x' \\n");
        assert_eq!(values["D"], "double\t\"x\"\nsecond line");
        assert_eq!(values["E"], "pa$$word#1$A");
        assert_eq!(values["F"], "");
        assert!(!values.contains_key("G"));
        assert_eq!(
            values["H"],
            "mysql+aiomysql://u:p%40@db.interno:3306/feiraplain"
        );
        assert_eq!(values["I"], "1");
    }

    #[test]
    fn the_last_of_two_settings_counts() {
        assert_eq!(parsed("A=1\nA=2\n")["A"], "2");
    }

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        for (text, line) in [
            ("A=1\nB='open\nC=2\n", 2),
            ("A=1\n\n=3\n", 3),
            ("A=\"x\" y\n", 1),
        ] {
            let error = parse(text, &ProcessEnvironment::default()).unwrap_err();
            assert_eq!(error, Problem::DotenvBroken { line }, "{text:?}");
        }
    }
}
