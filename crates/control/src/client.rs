//! The client that watches use: one that notices when nobody answers.

use std::time::Duration;

use kube::{Client, Config};

use crate::watching::WATCH_TIME_MAX;

/// How long a connection may be silent. Every watch ends by itself before that, so that only a dead
/// connection, or an API server that hangs, is silent for so long.
const SILENCE_MAX: Duration = WATCH_TIME_MAX.saturating_add(Duration::from_secs(15));

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A client for [`Control`](crate::Control). It does not try again by itself: the watches do, and say
/// that they have to.
///
/// # Errors
/// The configuration's certificates or proxy cannot be used.
pub fn client(mut config: Config) -> kube::Result<Client> {
    config.connect_timeout = Some(CONNECT_TIME_MAX);
    config.read_timeout = Some(SILENCE_MAX);
    config.write_timeout = Some(SILENCE_MAX);
    config.default_retry = false;
    Client::try_from(config)
}
