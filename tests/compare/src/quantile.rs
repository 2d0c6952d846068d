//! Quantiles.

/// The value below which lies a part of `numbers`, which may not be empty.
pub fn quantile(numbers: &mut [f64], part: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index between 0 and the last"
    )]
    let index = ((numbers.len() - 1) as f64 * part).round() as usize;
    numbers[index]
}
