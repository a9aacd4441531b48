//! Why a command failed.

/// Why a command failed: one line for a person that says what to do.
#[derive(Debug)]
pub(super) struct CliError(pub(super) String);

impl CliError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
