//! Small sums over measurements, and how they are written.

use std::time::{Duration, Instant};

/// Calls in one batch of [`time_of`], so that reading the clock costs nothing beside them.
const BATCH_CALLS: u32 = 20;

/// Batches of [`time_of`].
const BATCHES: usize = 201;

/// The value below which `share` of the sorted values are.
pub(crate) fn quantile<T: Copy + PartialOrd>(values: &mut [T], share: f64) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("no NaN is measured"));
    let last = values.len() - 1;
    values[(last as f64 * share).ceil() as usize]
}

/// The middle value.
pub(crate) fn median<T: Copy + PartialOrd>(values: &mut [T]) -> T {
    quantile(values, 0.5)
}

/// How long one call takes: the median over batches.
pub(crate) fn time_of<T>(mut call: impl FnMut() -> T) -> Duration {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..BATCH_CALLS {
                std::hint::black_box(call());
            }
            start.elapsed() / BATCH_CALLS
        })
        .collect();
    median(&mut batches)
}

pub(crate) fn micros(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}

pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

/// `one / other`.
pub(crate) fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
