//! What waits to be written: bounded in all and for each namespace, so that one that floods leaves
//! room for the others.

use std::collections::VecDeque;

use assay_core::ports::RefusedPod;

/// Refusals that may wait. With 2 KiB each that is 1 MiB, and with writes of 4 s, half an hour.
pub(super) const WAITING_MAX: usize = 512;

/// Those of one namespace.
pub(super) const NAMESPACE_WAITING_MAX: usize = 32;

/// A refusal that waits, and how often it came meanwhile.
pub(super) struct Waiting {
    pub(super) refused: RefusedPod,
    pub(super) times: u32,
}

/// Refusals, the oldest first.
#[derive(Default)]
pub(super) struct Queue(VecDeque<Waiting>);

impl Queue {
    /// Whether there was room, or one like it waits: of that the newest message counts.
    pub(super) fn push(&mut self, waiting: Waiting) -> bool {
        let mut of_namespace = 0;
        for other in &mut self.0 {
            if other.refused.namespace != waiting.refused.namespace {
                continue;
            }
            if other.is_like(&waiting) {
                other.times = other.times.saturating_add(waiting.times);
                other.refused = waiting.refused;
                return true;
            }
            of_namespace += 1;
        }
        if self.0.len() >= WAITING_MAX || of_namespace >= NAMESPACE_WAITING_MAX {
            return false;
        }
        self.0.push_back(waiting);
        true
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.0.pop_front()
    }
}

impl Waiting {
    /// Whether it is of the same controller, or of the same pod, for the same cause.
    fn is_like(&self, other: &Self) -> bool {
        let (one, other) = (&self.refused, &other.refused);
        one.cause == other.cause
            && one.controller == other.controller
            && (one.controller.is_some() || one.pod == other.pod)
    }
}
