//! Waiting for other processes, always bounded.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};

/// Between two looks: short beside the seconds that a part takes to start.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks before a wait fails: 60 s and the time that the looks take, which is ten times what the
/// slowest part needs on two busy cores.
const LOOKS_MAX: u32 = 600;

/// What `look` finds, as soon as it finds something.
///
/// # Errors
/// The first error of `look`, or that `what` did not come about in about a minute.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    repeat(what, LOOKS_MAX, PAUSE, look)
}

fn repeat<T>(
    what: &str,
    looks: u32,
    pause: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    for _ in 0..looks {
        if let Some(found) = look()? {
            return Ok(found);
        }
        sleep(pause);
    }
    bail!("waited in vain for {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_at(look_number: u32) -> Result<u32> {
        let mut count = 0;
        repeat("the look", 3, Duration::ZERO, || {
            count += 1;
            Ok((count == look_number).then_some(count))
        })
    }

    #[test]
    fn finds_at_the_last_look() {
        assert_eq!(found_at(3).unwrap(), 3);
    }

    #[test]
    fn gives_up_after_the_last_look() {
        assert_eq!(found_at(4).unwrap_err().to_string(), "waited in vain for the look");
    }

    #[test]
    fn ends_at_the_first_error() {
        let result: Result<()> = repeat("the look", 3, Duration::ZERO, || bail!("exited"));
        assert_eq!(result.unwrap_err().to_string(), "exited");
    }
}
