//! Numbers as a small plot on a line.

/// Cells of the strip on which numbers are drawn.
const STRIP: usize = 24;

/// Where numbers lie between the lowest and the highest: the more in a cell, the higher.
pub(super) fn strip(numbers: &[f64], low: f64, high: f64) -> String {
    let mut cells = [0usize; STRIP];
    for number in numbers {
        let part = if high > low { (number - low) / (high - low) } else { 0.5 };
        cells[((part * STRIP as f64) as usize).min(STRIP - 1)] += 1;
    }
    let most = cells.iter().copied().max().unwrap_or(0).max(1);
    let bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |n: usize| if n == 0 { ' ' } else { bars[(n * bars.len()).div_ceil(most) - 1] };
    cells.map(bar).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_show_where_numbers_lie() {
        let one = strip(&[0.0, 0.0, 1.0], 0.0, 1.0);
        assert!(
            one.starts_with('█') && one.ends_with('▄') && one.chars().count() == STRIP,
            "{one}"
        );
        assert_eq!(strip(&[], 0.0, 1.0).trim(), "");
        assert_eq!(strip(&[5.0], 5.0, 5.0).trim(), "█");
    }
}
