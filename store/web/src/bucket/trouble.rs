//! Why a bucket did not do what it was asked, whether asking again may help, and what to say of it.
//!
//! What is said is put together from the status and the code that came, never from a whole answer or a
//! URL: those can hold signatures.

use std::fmt;
use std::io::ErrorKind;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// Why a bucket did not do it.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is nothing under this key.
    Absent,
    /// It is not what the condition said.
    Condition,
    /// The store does not know how to do this.
    Unknown,
    /// It has more bytes than it can have.
    TooLarge,
    /// Asking again may help.
    Broken {
        /// Whether an answer came; if not, what was asked may still be done later.
        answered: bool,
        /// What happened.
        why: String,
    },
    /// Asking again would not help.
    Refused(ErrorKind, String),
}

impl Trouble {
    /// No answer came, for this reason.
    pub(crate) fn broken(why: impl Into<String>) -> Trouble {
        Trouble::Broken { answered: false, why: why.into() }
    }
}

/// An answer that came, and is not what it should be.
pub(crate) fn torn(why: impl Into<String>) -> Trouble {
    Trouble::Broken { answered: true, why: why.into() }
}

/// An answer that is no success, as it came.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) code: u16,
    /// Where the bucket is, if it says so.
    pub(crate) region: Option<String>,
    /// The beginning of what came with it.
    pub(crate) body: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.code)
    }
}

impl std::error::Error for Status {}

/// Whoever hands out keys on machines of a cloud did not.
#[derive(Debug)]
pub(crate) struct NoKeys(pub(crate) String);

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoKeys {}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        match &error {
            // What was asked of nobody in particular is the bucket itself.
            Error::NotFound { source, .. } if is_of_bucket(&source.to_string()) => {
                Trouble::Refused(ErrorKind::NotFound, "there is no such bucket".to_owned())
            }
            Error::NotFound { .. } => Trouble::Absent,
            Error::AlreadyExists { .. }
            | Error::Precondition { .. }
            | Error::NotModified { .. } => Trouble::Condition,
            Error::NotImplemented { .. } | Error::NotSupported { .. } => Trouble::Unknown,
            Error::InvalidPath { .. } => Trouble::Refused(
                ErrorKind::InvalidData,
                "it holds a key that is no path (an empty part, `.` or `..`)".to_owned(),
            ),
            _ => of_chain(&error),
        }
    }
}

fn is_of_bucket(text: &str) -> bool {
    ["NoSuchBucket", "ContainerNotFound", "specified bucket does not exist"]
        .iter()
        .any(|code| text.contains(code))
}

/// By what lies at the bottom of an error.
fn of_chain(error: &Error) -> Trouble {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let (mut kind, mut innermost) = (None, String::new());
    while let Some(link) = at {
        if let Some(status) = link.downcast_ref::<Status>() {
            return of_status(status);
        }
        if let Some(NoKeys(why)) = link.downcast_ref::<NoKeys>() {
            return Trouble::Refused(ErrorKind::PermissionDenied, why.clone());
        }
        if let Some(http) = link.downcast_ref::<HttpError>() {
            kind = Some(http.kind());
        }
        innermost = link.to_string();
        at = link.source();
    }
    let why = shown(&innermost);
    match kind {
        Some(HttpErrorKind::Timeout) => Trouble::broken("nothing came for too long"),
        Some(_) => Trouble::broken(why),
        None => {
            let why = why.chars().take(60).collect::<String>();
            let why = format!("what it answers cannot be understood ({why})");
            Trouble::Broken { answered: true, why }
        }
    }
}

fn of_status(status: &Status) -> Trouble {
    let code = between(&status.body, "<Code>", "</Code>").unwrap_or_default();
    let message = between(&status.body, "<Message>", "</Message>").unwrap_or_default();
    // Azure adds numbers and times, which are of use to nobody here.
    let message = message.lines().next().unwrap_or_default();
    let answer = match (code, message) {
        ("", "") => format!("it answers {}", status.code),
        ("", said) => format!("it answers {}: {}", status.code, shown(said)),
        (code, "") => format!("it answers {} {}", status.code, shown(code)),
        (code, said) => format!("it answers {} {}: {}", status.code, shown(code), shown(said)),
    };
    let denied = |why: &str| Trouble::Refused(ErrorKind::PermissionDenied, why.to_owned());
    let region = between(&status.body, "<Region>", "</Region>").or(status.region.as_deref());
    let elsewhere = matches!(status.code, 301 | 302 | 307 | 308)
        || code == "AuthorizationHeaderMalformed"
        || code == "IllegalLocationConstraintException";
    match (status.code, code) {
        (501, _) => Trouble::Unknown,
        (408 | 429 | 500.., _) | (_, "SlowDown" | "RequestTimeout") => {
            Trouble::Broken { answered: true, why: answer }
        }
        _ if elsewhere => {
            let why = match region {
                Some(region) => {
                    let region = shown(region);
                    format!("the bucket is in another region: set AWS_REGION to {region}")
                }
                None => format!("{answer}; is AWS_REGION the region that the bucket is in?"),
            };
            Trouble::Refused(ErrorKind::InvalidInput, why)
        }
        (_, "InvalidAccessKeyId" | "InvalidAccessKey") => {
            denied("the access key is not known there")
        }
        (_, "SignatureDoesNotMatch") => denied("the secret key does not belong to the access key"),
        (_, "RequestTimeTooSkewed") => denied("the clock of this machine is wrong"),
        (_, "ExpiredToken" | "TokenRefreshRequired") => denied("the session token has expired"),
        (401 | 403, _) => denied(&format!("these keys may not do that ({answer})")),
        (404, _) if is_of_bucket(&status.body) => {
            Trouble::Refused(ErrorKind::NotFound, "there is no such bucket".to_owned())
        }
        (404, _) => Trouble::Absent,
        _ => Trouble::Refused(ErrorKind::Other, answer),
    }
}

/// What stands between two marks, if it is no novel.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

/// What somebody else said, in one line of bearable length.
pub(crate) fn shown(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().take(200) {
        match c {
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, body: &str) -> Trouble {
        of_status(&Status { code, region: None, body: body.to_owned() })
    }

    fn error(code: &str, message: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message><StringToSign>AWS4-HMAC-SHA256 s3cret</StringToSign></Error>"
        )
    }

    #[test]
    fn what_may_help_is_asked_again_and_nothing_else() {
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(status(code, ""), Trouble::Broken { answered: true, .. }), "{code}");
        }
        assert!(matches!(status(400, &error("SlowDown", "")), Trouble::Broken { .. }));
        for code in [400, 401, 403, 405, 409, 410, 416] {
            assert!(matches!(status(code, ""), Trouble::Refused(..)), "{code}");
        }
        assert!(matches!(status(501, ""), Trouble::Unknown));
        assert!(matches!(status(404, ""), Trouble::Absent));
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_that_is_secret() {
        for (code, body, expected) in [
            (403, error("InvalidAccessKeyId", "no"), "the access key is not known"),
            (403, error("SignatureDoesNotMatch", "no"), "the secret key does not belong"),
            (
                403,
                error("AccessDenied", "No!"),
                "may not do that (it answers 403 AccessDenied: No!)",
            ),
            (404, error("NoSuchBucket", "gone"), "there is no such bucket"),
            (301, error("PermanentRedirect", "x"), "is AWS_REGION the region"),
            (
                400,
                "<Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region>".into(),
                "set AWS_REGION to eu-north-1",
            ),
            (400, error("Odd", "a\u{1b}[31m\rb\nRequestId: 7"), r"400 Odd: a\u{1b}[31m\rb"),
            (418, "x".repeat(9999), "it answers 418"),
        ] {
            let Trouble::Refused(_, why) = status(code, &body) else { panic!("{body}") };
            assert!(why.contains(expected), "{why}");
            assert!(!why.contains("s3cret") && why.len() < 500, "{why}");
        }
    }
}
