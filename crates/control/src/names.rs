//! Names of objects, which others write and which become parts of URLs.

/// The longest name of an object, in bytes (RFC 1123 subdomain).
pub(crate) const NAME_BYTES_MAX: usize = 253;

/// Whether `name` is an RFC 1123 subdomain, as the names of most kinds are.
pub(crate) fn is_subdomain(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}
