//! How well a language model foresees a text.
//!
//! From the negative log-likelihood of each token in nats. Perplexity depends on what a token is,
//! so models with different tokens are compared by bits per character or byte.

use crate::checks;
use crate::error::{MetricsError, Result};
use crate::sum::{mean, sum};

/// Perplexity: exp of the mean negative log-likelihood per token.
///
/// `losses` are the negative log-likelihoods in nats, one per token. Source: Jelinek et al.,
/// "Perplexity - a measure of the difficulty of speech recognition tasks" (1977).
///
/// # Errors
/// No tokens, losses that are not finite, a perplexity that overflows (a mean above 709.78).
pub fn perplexity(losses: &[f64]) -> Result<f64> {
    check(losses)?;
    checks::score("the perplexity", libm::exp(mean(losses.iter().copied())))
}

/// Bits per character: the sum of the losses / (ln 2 * characters).
///
/// `losses` are the negative log-likelihoods in nats, one per token, which together spell
/// `characters` characters. Source: Shannon, "Prediction and Entropy of Printed English" (1951),
/// whose bits per letter are this for the best possible model.
///
/// # Errors
/// No tokens or no characters, losses that are not finite or overflow.
pub fn bits_per_character(losses: &[f64], characters: u64) -> Result<f64> {
    bits_per("characters", losses, characters)
}

/// Bits per byte: the sum of the losses / (ln 2 * bytes). It does not depend on what a token is.
///
/// `losses` are the negative log-likelihoods in nats, one per token, which together spell `bytes`
/// bytes. Source: Gao et al., "The Pile" (2020).
///
/// # Errors
/// No tokens or no bytes, losses that are not finite or overflow.
pub fn bits_per_byte(losses: &[f64], bytes: u64) -> Result<f64> {
    bits_per("bytes", losses, bytes)
}

fn bits_per(what: &'static str, losses: &[f64], count: u64) -> Result<f64> {
    check(losses)?;
    if count == 0 {
        return Err(MetricsError::Empty(what));
    }
    let nats = sum(losses.iter().copied());
    checks::score("the sum of the losses", nats / count as f64 / std::f64::consts::LN_2)
}

fn check(losses: &[f64]) -> Result<()> {
    match losses {
        [] => Err(MetricsError::Empty("losses")),
        losses => checks::finite("loss", losses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_without_knowledge_has_the_perplexity_of_its_vocabulary() {
        let losses = vec![libm::log(65.0); 1000];
        let found = perplexity(&losses).unwrap();
        assert!((found - 65.0).abs() < 1e-10, "{found}");
        assert_eq!(perplexity(&[0.0; 4]), Ok(1.0));
        // One token per byte, all 256 equally likely: 8 bits; two bytes per token: 4.
        let losses = vec![libm::log(256.0); 10];
        assert!((bits_per_byte(&losses, 10).unwrap() - 8.0).abs() < 1e-14);
        assert!((bits_per_character(&losses, 20).unwrap() - 4.0).abs() < 1e-14);
    }

    #[test]
    fn bad_losses_are_named() {
        assert_eq!(perplexity(&[]), Err(MetricsError::Empty("losses")));
        assert_eq!(bits_per_byte(&[1.0], 0), Err(MetricsError::Empty("bytes")));
        assert_eq!(bits_per_character(&[1.0], 0), Err(MetricsError::Empty("characters")));
        assert_eq!(perplexity(&[710.0]), Err(MetricsError::Overflow("the perplexity")));
        assert!(bits_per_byte(&[f64::MAX; 2], 1).is_err());
        assert_eq!(
            bits_per_byte(&[1.0, f64::NAN], 2).unwrap_err().to_string(),
            "the loss in row 1 is NaN: a finite number is needed"
        );
    }
}
