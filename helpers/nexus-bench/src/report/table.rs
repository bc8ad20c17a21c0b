//! Tables for people. Consecutive measures with the same figures are the rows of one table.

use nexus_cli::text::columns;

use crate::report::Measure;

/// Formats `measures` as tables, in order.
pub(crate) fn of(measures: &[Measure]) -> String {
    let mut text = String::new();
    for together in measures.chunk_by(|a, b| names(a) == names(b)) {
        let Some(first) = together.first() else { continue };
        let mut head = vec![String::new()];
        head.extend(first.figures.iter().map(|figure| figure.name.clone()));
        let mut lines = vec![head];
        for measure in together {
            let mut line = vec![measure.name.clone()];
            line.extend(measure.figures.iter().map(|figure| number(figure.value)));
            lines.push(line);
        }
        text.push('\n');
        text.push_str(&columns(&lines));
    }
    text
}

fn names(measure: &Measure) -> Vec<&str> {
    measure.figures.iter().map(|figure| figure.name.as_str()).collect()
}

/// Formats a number with three significant digits, or all digits before the point.
fn number(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Figure;

    #[test]
    fn measures_with_the_same_figures_share_a_table() {
        let measure = |name: &str, figure: &str| Measure {
            name: name.to_owned(),
            figures: vec![Figure::lower(figure, vec![1234.5])],
        };
        let text = of(&[measure("a", "s"), measure("b", "s"), measure("c", "ms")]);
        assert_eq!(text.lines().filter(|line| line.is_empty()).count(), 2, "{text}");
        assert!(text.contains("1234") || text.contains("1235"));
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        assert_eq!([1234.5, 12.345, 1.2345, 0.012].map(number), ["1234", "12.3", "1.23", "0.012"]);
    }
}
