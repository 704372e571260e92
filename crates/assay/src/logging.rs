//! Logs: on standard error, one line each, panics too.

use std::panic::PanicHookInfo;

use assay_api::{LogConfiguration, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

/// Where the level can be set, over the configuration's.
const VARIABLE: &str = "ASSAY_LOG";

/// Logs as `configuration` and `ASSAY_LOG` say. The libraries below log warnings only, unless
/// `ASSAY_LOG` names them: what they say of requests may hold what must not be logged. The client of
/// the API server is silent: it says at each attempt what the controller says once.
pub(crate) fn start(configuration: &LogConfiguration) -> anyhow::Result<()> {
    // `assay` stands for every target that begins with it: all our crates.
    let own = format!("warn,kube_client=off,assay={}", configuration.level.as_str());
    let filter = std::env::var(VARIABLE).unwrap_or(own);
    let filter =
        EnvFilter::try_new(filter).map_err(|error| anyhow::anyhow!("{VARIABLE}: {error}"))?;
    // Where standard error is gone, nothing is left to say it on.
    let builder = Subscriber::builder().with_env_filter(filter).log_internal_errors(false);
    let builder = builder.with_writer(std::io::stderr);
    match configuration.format {
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false);
            tracing::subscriber::set_global_default(builder.with_span_list(false).finish())?;
        }
        LogFormat::Text => tracing::subscriber::set_global_default(builder.finish())?,
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Says where a panic was. What it says itself may hold parts of a request.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(location, thread = std::thread::current().name(), "panic");
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn says_where_a_panic_was_and_not_what_it_said() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = Subscriber::builder().json().with_writer(move || writer.clone()).finish();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let line = line!() + 2;
        let ended = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("password hunter2"))
        });
        std::panic::set_hook(before);
        assert!(ended.is_err());
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains(&format!("crates/assay/src/logging.rs:{line}:")), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}
