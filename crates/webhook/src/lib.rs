//! The webhook: HTTPS in, an AdmissionReview out, and between them one call of the engine.
//!
//! Rooms 1, 2 and 6 of an AdmissionReview's path: [`Server`] (TLS, limits, deadline), the review
//! (a partial parse), the response (what the API server and whoever asked it read).
//!
//! Architecture invariant: nothing is admitted here. An answer that allows comes from a
//! [`Verdict`](assay_policy::Verdict) that does; whatever else goes wrong refuses, in the review
//! itself where its uid is known.

mod accept;
mod body;
mod callers;
mod deadline;
mod events;
mod handler;
mod plain;
mod record;
mod response;
mod review;
mod server;
#[cfg(test)]
mod testing;
mod tls;

pub use body::{BODIES_BYTES_MAX, BODY_BYTES_MAX};
pub use callers::Callers;
pub use handler::{Handler, Judge, REVIEWS_IN_FLIGHT_MAX};
pub use plain::{Page, PlainServer};
pub use review::read_request;
pub use server::{CONNECTIONS_MAX, Server, SharedTls};
pub use tls::{Pem, TlsError, certificate_expiry, mutual_tls_config, tls_config};
