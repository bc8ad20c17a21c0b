//! Formats text for people: aligned columns, grouped numbers, untrusted text made printable.

use std::fmt::Display;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The most things that [`listed`] names.
const NAMED: usize = 5;

/// Formats rows of cells as lines with aligned columns. A column with only numbers below its head
/// is right-aligned. Cells may be untrusted: each goes through [`printable`], so a row is one line.
pub fn columns(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let is_number = |cell: &String| {
        cell == "-" || (cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(':'))
    };
    let right: Vec<bool> = (0..widths.len())
        .map(|column| column > 0 && rows.iter().skip(1).filter_map(|r| r.get(column)).all(is_number))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column] - cell.chars().count());
            let (before, after) = if right[column] { (gap.as_str(), "") } else { ("", gap.as_str()) };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Formats a number as `1 234 567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Formats a time as `2026-11-22 03:00:12 UTC`.
pub fn moment(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC).datetime();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Makes untrusted text safe for a terminal, a log or a message, in one line. It escapes characters
/// that would control the terminal, begin another line, or reorder the text. Printable text stays
/// unchanged.
pub fn printable(text: &str) -> String {
    escaped(text, false)
}

/// Like [`printable`], but keeps line feeds.
pub fn printable_lines(text: &str) -> String {
    escaped(text, true)
}

/// Like [`printable_lines`], for JSON, whose writer escapes fewer characters. The value stays the
/// same.
pub fn printable_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unprintable(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    text
}

fn escaped(text: &str, keeps_lines: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if keeps_lines => escaped.push(c),
            '\n' | '\r' | '\t' => escaped.extend(c.escape_debug()),
            _ if is_unprintable(c) => escaped.extend(c.escape_unicode()),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Control characters (C0, DEL and C1), other line ends, and invisible characters that reorder or
/// hide text: direction marks, zero-width spaces, tags (Unicode Technical Report 36). The joiners
/// are excluded: some languages need them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns the first 200 characters of untrusted text in one line: an error may repeat a long text
/// with line feeds.
pub fn beginning(said: &str) -> String {
    // Escaping may lengthen it again.
    printable(&said.chars().take(200).collect::<String>()).chars().take(200).collect()
}

/// Returns at most `most` characters of `text`, the last of them `…` if something was cut off.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Names the first five of `things`, and says how many more there are: `a, b, c, d, e and 7 more`.
/// Another user may have made any number of them.
pub fn listed<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    listed_with(things, 0)
}

/// Like [`listed`], when there are `more` besides `things`.
pub fn listed_with<T: Display>(things: impl IntoIterator<Item = T>, more: u64) -> String {
    let mut things = things.into_iter();
    let named: Vec<String> = things.by_ref().take(NAMED).map(|thing| thing.to_string()).collect();
    match things.count() as u64 + more {
        0 => named.join(", "),
        more => format!("{} and {} more", named.join(", "), grouped(more)),
    }
}

/// Formats `{count} {one}`, in the plural unless `count` is 1.
pub fn counted(count: u64, one: &str) -> String {
    let copy = one.strip_suffix('y').filter(|rest| !rest.ends_with(['a', 'e', 'o', 'u']));
    let ending = if one.ends_with(['s', 'x']) { "es" } else { "s" };
    let several = copy.map_or_else(|| format!("{one}{ending}"), |rest| format!("{rest}ies"));
    format!("{} {}", grouped(count), if count == 1 { one } else { &several })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn untrusted_text_is_cut_to_one_short_line() {
        let said = beginning(&format!("unknown variant `a\nb{}`", "Ɲ".repeat(5000)));
        assert!(said.starts_with("unknown variant `a\\nbƝ") && said.chars().count() == 200, "{said}");
        assert_eq!(beginning(&"\x7f".repeat(5000)).chars().count(), 200);
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        assert_eq!(shortened("ñandú", 5), "ñandú");
        assert_eq!(shortened("ñandús", 5), "ñand…");
        assert_eq!([shortened("", 1), shortened("a", 1), shortened("ab", 1)], ["", "a", "…"]);
    }

    #[test]
    fn five_things_are_named_and_the_others_are_counted() {
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b", "c", "d", "e"]), "a, b, c, d, e");
        assert_eq!(listed(["a", "b", "c", "d", "e", "f"]), "a, b, c, d, e and 1 more");
        assert_eq!(listed(1..=25_000), "1, 2, 3, 4, 5 and 24 995 more");
        assert_eq!(listed_with(1..=6, 3), "1, 2, 3, 4, 5 and 4 more");
    }

    #[test]
    fn counts_other_than_one_are_plural() {
        let words = ["row", "copy", "key", "index"];
        assert_eq!(words.map(|one| counted(1, one)), ["1 row", "1 copy", "1 key", "1 index"]);
        assert_eq!(words.map(|one| counted(2, one)), ["2 rows", "2 copies", "2 keys", "2 indexes"]);
    }

    #[test]
    fn numbers_are_right_aligned_and_words_left_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = columns(&[row(["id", "rows", "proven"]), row(["1", "20", "no"]), row(["10", "-", "yes"])]);
        assert_eq!(text, "id  rows  proven\n1     20  no\n10     -  yes\n");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(printable("a\nb\u{1b}[2Jé"), "a\\nb\\u{1b}[2Jé");
        assert_eq!(printable("\u{9b}2J \u{202e}txt.exe\u{2066}"), "\\u{9b}2J \\u{202e}txt.exe\\u{2066}");
        assert_eq!(printable_lines("a\u{1b}\nb\r\n"), "a\\u{1b}\nb\\r\n");
        // A Spanish, an Arabic and a Persian word, the last with a joiner, and a family.
        let words = "ñandú سلام می\u{200c}خواهم 👨\u{200d}👩";
        assert_eq!(printable(words), words);
    }

    /// Any characters, often the worst.
    fn any_text() -> impl Strategy<Value = String> {
        let worst = "[\\x00-\\x1f\\x7f-\\u{9f}\\u{200b}-\\u{2069}\\u{feff}\\u{e0001}ab\"\\\\]{0,40}";
        prop_oneof![
            ".{0,40}",
            worst,
            proptest::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter)
        ]
    }

    proptest! {
        #[test]
        fn printed_text_has_no_control_characters(text in any_text()) {
            let (line, lines) = (printable(&text), printable_lines(&text));
            prop_assert!(!line.chars().any(is_unprintable), "{line:?}");
            prop_assert!(!lines.chars().any(|c| c != '\n' && is_unprintable(c)), "{lines:?}");
            prop_assert_eq!(lines.matches('\n').count(), text.matches('\n').count());
            prop_assert_eq!(printable(&line), line);
            prop_assert_eq!(printable_lines(&lines), lines);
        }

        #[test]
        fn a_row_of_a_table_is_one_line(rows in proptest::collection::vec(proptest::collection::vec(any_text(), 3), 0..5)) {
            let text = columns(&rows);
            prop_assert_eq!(text.matches('\n').count(), rows.len(), "{:?}", text);
            prop_assert!(!text.chars().any(|c| c != '\n' && is_unprintable(c)), "{text:?}");
        }

        #[test]
        fn printed_json_has_no_control_characters_and_the_same_value(text in any_text()) {
            let json = printable_json(&serde_json::to_string_pretty(&[&text]).unwrap());
            prop_assert!(!json.chars().any(|c| c != '\n' && is_unprintable(c)), "{json:?}");
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
        }
    }
}
