//! What people read: columns that line up, numbers with separators, names without surprises.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Rows of cells as lines whose columns line up; a column whose cells below the head are all numbers goes right.
pub fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let is_number = |cell: &String| {
        cell == "-" || (cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(':'))
    };
    let right: Vec<bool> = (0..widths.len())
        .map(|column| column > 0 && rows.iter().skip(1).filter_map(|r| r.get(column)).all(is_number))
        .collect();
    let mut text = String::new();
    for row in rows {
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

/// `1 234 567`
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

/// `2026-11-22 03:00:12 UTC`
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

/// A name from a database as a terminal may show it: control characters are escaped.
pub fn printable(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect()
}

/// As much of what others say as one line of ours can hold: an error may repeat all of a long text, with its line feeds.
pub fn beginning(said: &str) -> String {
    // Escaped it may be longer again.
    printable(&said.chars().take(200).collect::<String>()).chars().take(200).collect()
}

/// `{count} {one}`, with an s unless there is one.
pub fn counted(count: u64, one: &str) -> String {
    let copy = one.strip_suffix('y').filter(|rest| !rest.ends_with(['a', 'e', 'o', 'u']));
    let several = copy.map_or_else(|| format!("{one}s"), |rest| format!("{rest}ies"));
    format!("{} {}", grouped(count), if count == 1 { one } else { &several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_others_say_one_short_line_is_repeated() {
        let said = beginning(&format!("unknown variant `a\nb{}`", "Ɲ".repeat(5000)));
        assert!(said.starts_with("unknown variant `a\\nbƝ") && said.chars().count() == 200, "{said}");
        assert_eq!(beginning(&"\x7f".repeat(5000)).chars().count(), 200);
    }

    #[test]
    fn several_are_written_as_several() {
        assert_eq!(["row", "copy", "key"].map(|one| counted(1, one)), ["1 row", "1 copy", "1 key"]);
        assert_eq!(["row", "copy", "key"].map(|one| counted(2, one)), ["2 rows", "2 copies", "2 keys"]);
    }

    #[test]
    fn numbers_go_right_and_words_left() {
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
    }
}
