//! A table as Excel and WPS save it → rows of fields, each with its place. No meaning yet.
//!
//! UTF-8 with or without BOM, UTF-16 with BOM ("Unicode text") and GB 18030; `,`, `;` or tab between the fields; CR LF or LF; quoted fields. What is
//! not valid UTF-8 is taken for GB 18030. An unclosed quote is an error here, because it would swallow every row after it.

use crate::problem::{Severity, Spot};

/// One field, trimmed, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub text: String,
    pub at: Spot,
}

/// The reason a file cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub at: Spot,
    pub message: String,
}

impl Unreadable {
    pub fn into_problems(self, file: &str) -> crate::problem::Problems {
        let mut problems = crate::problem::Problems::default();
        problems.add(file, self.at, Severity::Error, self.message);
        problems
    }
}

const START: Spot = Spot { line: 1, column: 1 };

/// The text of a file, whatever Windows made of it.
pub fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    if let Some((encoding, length)) = encoding_rs::Encoding::for_bom(bytes) {
        let (text, broken) = encoding.decode_without_bom_handling(&bytes[length..]);
        if !broken {
            return Ok(text.into_owned());
        }
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    } else if let Some(text) = encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes)
    {
        return Ok(text.into_owned());
    }
    Err(Unreadable {
        at: START,
        message: "this is neither UTF-8 nor GB 18030 text; in Excel use \"save as\" and choose \"CSV UTF-8\""
            .into(),
    })
}

/// The rows of a table without the empty ones. `sep=;` in the first line, as Excel understands it, names the separator.
pub fn rows(text: &str) -> Result<Vec<Vec<Field>>, Unreadable> {
    let mut cursor = Cursor { rest: text, at: START };
    let separator = match text.split(['\r', '\n']).next().and_then(|line| line.strip_prefix("sep=")) {
        Some(named) if named.chars().count() == 1 => {
            while cursor.next().is_some_and(|c| c != '\n') {}
            named.chars().next().unwrap_or(',')
        }
        Some(_) | None => guess_separator(text),
    };
    let mut rows = Vec::new();
    while !cursor.rest.is_empty() {
        let row = read_row(&mut cursor, separator)?;
        if row.iter().any(|field| !field.text.is_empty()) {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The one of `,`, `;` and tab that stands most often in the first line with text, outside quotes.
fn guess_separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut quoted = false;
    let mut counts = [(',', 0), (';', 0), ('\t', 0)];
    for c in first.chars() {
        quoted ^= c == '"';
        for (separator, count) in &mut counts {
            *count += usize::from(!quoted && c == *separator);
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(',', |(separator, _)| separator)
}

struct Cursor<'a> {
    rest: &'a str,
    at: Spot,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.at = Spot { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    /// Takes a line break, if one comes next.
    fn line_break(&mut self) -> bool {
        let length =
            if self.rest.starts_with("\r\n") { 2 } else { usize::from(self.rest.starts_with(['\n', '\r'])) };
        let old_mac = length == 1 && self.rest.starts_with('\r');
        for _ in 0..length {
            self.next();
        }
        if old_mac {
            self.at = Spot { line: self.at.line + 1, column: 1 };
        }
        length > 0
    }
}

fn read_row(cursor: &mut Cursor<'_>, separator: char) -> Result<Vec<Field>, Unreadable> {
    let mut row = Vec::new();
    loop {
        let at = cursor.at;
        let text = read_field(cursor, separator)?;
        row.push(Field { text: text.trim().to_owned(), at });
        if cursor.peek() == Some(separator) {
            cursor.next();
        } else if cursor.line_break() || cursor.rest.is_empty() {
            return Ok(row);
        }
    }
}

fn read_field(cursor: &mut Cursor<'_>, separator: char) -> Result<String, Unreadable> {
    let mut text = String::new();
    if cursor.peek() == Some('"') {
        let opened = cursor.at;
        cursor.next();
        loop {
            match cursor.next() {
                Some('"') if cursor.peek() == Some('"') => {
                    cursor.next();
                    text.push('"');
                }
                Some('"') => break,
                Some(c) => text.push(c),
                None => {
                    return Err(Unreadable {
                        at: opened,
                        message: "this quote is never closed and swallows the rest of the file; write a `\"` at the end of the field, or `\"\"` for a quote inside it".into(),
                    });
                }
            }
        }
    }
    while let Some(c) = cursor.peek() {
        if c == separator || c == '\n' || c == '\r' {
            break;
        }
        text.push(c);
        cursor.next();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<Vec<String>> {
        let rows = rows(text).expect("readable");
        rows.into_iter().map(|row| row.into_iter().map(|field| field.text).collect()).collect()
    }

    #[test]
    fn tables_are_read_as_excel_saves_them() {
        for (text, wanted) in [
            ("a,b\r\n1,2\r\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a;b\n1,5;2", vec![vec!["a", "b"], vec!["1,5", "2"]]),
            ("a\tb\n\n1\t\n", vec![vec!["a", "b"], vec!["1", ""]]),
            ("sep=|\r\na|b\r\n", vec![vec!["a", "b"]]),
            ("a,\"b,\"\"c\"\"\nd\",e", vec![vec!["a", "b,\"c\"\nd", "e"]]),
            (",,\n a , b ,\n", vec![vec!["a", "b", ""]]),
            ("a,b\r1,2\r", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("", vec![]),
        ] {
            assert_eq!(texts(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_field_knows_its_place_after_quotes_and_line_breaks() {
        let rows = rows("编号,名称\r\n\"a\nb\",网格,x\r\n").expect("readable");
        assert_eq!(rows[0][1].at, Spot { line: 1, column: 4 });
        assert_eq!(rows[1][2].at, Spot { line: 3, column: 7 });
    }

    #[test]
    fn an_unclosed_quote_is_named_instead_of_swallowing_the_file() {
        let refused = rows("a,b\n1,\"2\n3,4\n").expect_err("unclosed");
        assert_eq!(refused.at, Spot { line: 2, column: 3 });
    }

    #[test]
    fn every_encoding_excel_writes_gives_the_same_text() {
        let text = "编号,名称\r\nSD-1,烟感·仙林\r\n";
        let (gb, _, _) = encoding_rs::GB18030.encode(text);
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for bytes in [text.as_bytes(), format!("\u{feff}{text}").as_bytes(), &*gb, &utf16] {
            assert_eq!(decode(bytes).expect("readable"), text);
        }
        assert!(decode(&[0x41, 0xff, 0xff]).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok(text) = decode(&bytes) {
                let _ = rows(&text);
            }
        }

        /// What is written with every field quoted comes back as it was.
        #[test]
        fn quoted_tables_come_back(table in prop::collection::vec(prop::collection::vec("[a-z网格\",;\n]{1,6}", 2..4), 1..6)) {
            let written: String = table.iter().map(|row| {
                let fields: Vec<_> = row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
                fields.join(",") + "\r\n"
            }).collect();
            let wanted: Vec<Vec<String>> = table.iter()
                .map(|row| row.iter().map(|field| field.trim().to_owned()).collect::<Vec<_>>())
                .filter(|row: &Vec<String>| row.iter().any(|field| !field.is_empty()))
                .collect();
            prop_assert_eq!(texts(&written), wanted);
        }
    }
}
