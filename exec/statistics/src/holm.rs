//! Several tests at once.

use crate::checks::{self, MAX_RUNS};
use crate::error::Result;

/// Holm's adjustment (Holm, "A simple sequentially rejective multiple test procedure", 1979): each
/// p, in the order given, becomes the level at which it would be found among all of them, so that
/// the chance of a single false alarm among all stays below the level.
///
/// # Errors
/// A p outside 0 to 1, more than 10,000 of them.
pub fn holm(p: &[f64]) -> Result<Vec<f64>> {
    checks::count("Holm's adjustment", "p values", p.len(), (0, MAX_RUNS))?;
    p.iter().try_for_each(|p| checks::range("p", *p, (0.0, 1.0)))?;
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        least = least.max(p[index] * (p.len() - rank) as f64).min(1.0);
        adjusted[index] = least;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_by_hand() {
        // 4 x 0.01; 3 x 0.02 and 2 x 0.03 are both 0.06; 0.5 alone.
        assert_eq!(holm(&[0.03, 0.01, 0.5, 0.02]).unwrap(), [0.06, 0.04, 0.5, 0.06]);
        // What comes later is never smaller: 2 x 0.04 and then 0.05.
        assert_eq!(holm(&[0.05, 0.04]).unwrap(), [0.08, 0.08]);
        assert_eq!(holm(&[0.7, 0.6]).unwrap(), [1.0, 1.0]);
        assert_eq!(holm(&[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn what_is_no_p_is_refused() {
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(holm(&[0.5, bad]).is_err());
        }
        assert!(holm(&vec![0.5; MAX_RUNS + 1]).is_err());
    }
}
