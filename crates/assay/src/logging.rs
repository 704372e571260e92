//! Logs: on standard error, one line each.

use assay_api::{LogConfiguration, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

/// Where the level can be set, over the configuration's.
const VARIABLE: &str = "ASSAY_LOG";

/// Logs as `configuration` and `ASSAY_LOG` say. The libraries below log warnings only, unless
/// `ASSAY_LOG` names them: what they say of requests may hold what must not be logged.
pub(crate) fn start(configuration: &LogConfiguration) -> anyhow::Result<()> {
    // `assay` stands for every target that begins with it: all our crates.
    let own = format!("warn,assay={}", configuration.level.as_str());
    let filter = std::env::var(VARIABLE).unwrap_or(own);
    let filter =
        EnvFilter::try_new(filter).map_err(|error| anyhow::anyhow!("{VARIABLE}: {error}"))?;
    let builder = Subscriber::builder().with_env_filter(filter).with_writer(std::io::stderr);
    let result = match configuration.format {
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false);
            tracing::subscriber::set_global_default(builder.with_span_list(false).finish())
        }
        LogFormat::Text => tracing::subscriber::set_global_default(builder.finish()),
    };
    Ok(result?)
}
