//! Why something that was asked is not done.

use serde_json::Value;

use super::line::Answer;
use crate::client::LinkError;

/// Why something that was asked is not done.
#[derive(Debug)]
pub(in crate::cli) enum Refused {
    /// The server says so, and why.
    Problem {
        status: u16,
        code: String,
        detail: String,
        /// Whether it was said before, and is only remembered (rule C3).
        is_duplicate: bool,
    },
    /// There is no answer: it may be done all the same.
    Unanswered(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem { detail, .. } => f.write_str(detail),
            Self::Unanswered(why) => f.write_str(why),
        }
    }
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Self {
        Self::Unanswered(error.to_string())
    }
}

impl Refused {
    /// The code of the problem; none if there is no answer.
    pub(in crate::cli) fn code(&self) -> &str {
        match self {
            Self::Problem { code, .. } => code,
            Self::Unanswered(_) => "",
        }
    }

    /// Whether it is certain that nothing was done.
    pub(in crate::cli) fn is_certain(&self) -> bool {
        matches!(self, Self::Problem { status, .. } if *status < 500)
    }

    /// Whether this is about an earlier use of the same operation id, and says nothing of now.
    pub(in crate::cli) fn is_of_before(&self) -> bool {
        let is_remembered = matches!(self, Self::Problem { is_duplicate: true, .. });
        is_remembered || self.code() == "OPERATION_ID_REUSED"
    }

    /// Whether others wrote something that does not go together with it.
    pub(in crate::cli) fn is_conflict(&self) -> bool {
        matches!(self, Self::Problem { status: 409, .. })
    }

    /// What an answer that is no success says.
    pub(super) async fn said_by(answer: Answer) -> Self {
        let (status, cause) = (answer.status, answer.cause.clone());
        match answer.whole().await {
            Ok(body) => Self::of(status, &body, cause.as_deref()),
            Err(why) => why.into(),
        }
    }

    /// The problem document in a body, and what this process knows beside it.
    fn of(status: u16, body: &[u8], cause: Option<&str>) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let detail = match text("detail") {
            none if none.is_empty() => format!("the server answers {status}"),
            // What is said after it begins a sentence of its own.
            detail => detail.trim_end_matches('.').to_owned(),
        };
        let detail = match cause.filter(|cause| !detail.contains(cause.trim_end_matches('.'))) {
            Some(cause) => format!("{detail} ({cause})"),
            None => detail,
        };
        let is_duplicate = problem["duplicate"].as_bool().unwrap_or_default();
        Self::Problem { status, code: text("code"), detail, is_duplicate }
    }

    pub(in crate::cli) fn unreadable(error: &serde_json::Error) -> Self {
        Self::Unanswered(format!("the answer can't be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_this_process_knows_of_a_failure_is_told() {
        let body = json!({"code": "STORE_UNAVAILABLE", "detail": "The store is unavailable."}).to_string();
        let told = |cause| Refused::of(503, body.as_bytes(), cause).to_string();
        assert_eq!(told(Some("the disk is full")), "The store is unavailable (the disk is full)");
        assert_eq!(told(Some("The store is unavailable.")), "The store is unavailable");
        assert_eq!(told(None), "The store is unavailable");
    }
}
