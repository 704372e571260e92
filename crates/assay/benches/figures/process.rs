//! The process as a whole: memory with many digests cached, and how soon it is ready.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use assay_testkit::RegistryOptions;

use crate::load::{self, CONNECTIONS, Target};
use crate::numbers::{mebibytes, median, millis};
use crate::table::Figure;
use crate::warm::{POLICIES, write_policies};
use crate::world::{Form, LONG_TTLS, World, review};

/// Images that are admitted, each its own digest.
const DIGESTS: usize = 10_000;

/// Images in one repository.
const TAGS: usize = 10;

/// Starts, of which the median counts.
const STARTS: usize = 15;

const MEMORY_GOAL: u64 = 96 * 1024 * 1024;
const READY_GOAL: Duration = Duration::from_millis(200);

/// Resident memory once so many images were admitted, half of them signed in either form. That
/// their verdicts are indeed cached is seen by admitting them all again.
pub(crate) fn memory() -> Result<Vec<Figure>> {
    let world = World::new(RegistryOptions::default())?;
    world.write_release_policy()?;
    let requests: Vec<Vec<u8>> = (0..DIGESTS)
        .map(|index| {
            let (repository, tag) = (format!("app-{}", index / TAGS), format!("v{}", index % TAGS));
            let form = if index % 2 == 0 { Form::Bundle } else { Form::Tag };
            let image = world.image(&repository, &tag, form)?;
            Ok(load::request(&review([&image, &image])))
        })
        .collect::<Result<_>>()?;
    let webhook = world.serve(LONG_TTLS, None)?;
    let target = world.target(&webhook)?;
    let empty = webhook.memory("VmRSS")?;
    admit_all(&target, &requests)?;
    let (resident, most) = (webhook.memory("VmRSS")?, webhook.memory("VmHWM")?);
    world.registry.clear_requests();
    admit_all(&target, &requests)?;
    let again = world.registry.requests().len();
    let (later, later_most) = (webhook.memory("VmRSS")?, webhook.memory("VmHWM")?);
    Ok(vec![
        Figure::new(format!("resident memory, {DIGESTS} digests admitted"), mebibytes(resident))
            .beside(format!("at the start {}, at most {}", mebibytes(empty), mebibytes(most)))
            .goal(format!("at most {}", mebibytes(MEMORY_GOAL)), resident <= MEMORY_GOAL),
        Figure::new("registry requests when they are admitted again", again.to_string())
            .beside(format!("then {}, at most {}", mebibytes(later), mebibytes(later_most)))
            .goal("0: all were cached", again == 0),
    ])
}

fn admit_all(target: &Target, requests: &[Vec<u8>]) -> Result<()> {
    let next = AtomicUsize::new(0);
    load::in_threads(CONNECTIONS, |_| {
        let mut connection = target.connect()?;
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            connection.admit(request)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// From the start of the process to the first answer of its readiness.
pub(crate) fn start() -> Result<Vec<Figure>> {
    let world = World::new(RegistryOptions::default())?;
    write_policies(&world)?;
    let mut times: Vec<Duration> =
        (0..STARTS).map(|_| Ok(world.serve("", None)?.ready_after)).collect::<Result<_>>()?;
    let ready = median(&mut times);
    Ok(vec![
        Figure::new(format!("start to ready, {POLICIES} policies from files"), millis(ready))
            .goal(format!("at most {}", millis(READY_GOAL)), ready <= READY_GOAL),
    ])
}
