//! What a server is shown of who asks: a token, or a user's name and password, from the URL, from the
//! environment, or from `~/.netrc` as other tools read it. Never printed, never kept.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use reqwest::{RequestBuilder, Url};

/// Begins a token of `lab serve`.
const TOKEN: &str = "lab_";

/// What to show a server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    user: String,
    secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Takes what a URL says of who asks out of it.
pub(crate) fn split(mut url: Url) -> (Url, Option<Credentials>) {
    if url.username().is_empty() && url.password().is_none() {
        return (url, None);
    }
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, secret) = (plain(url.username()), url.password().map(plain));
    // It cannot fail for what has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let credentials = match secret {
        Some(secret) => Credentials { user, secret },
        None => Credentials { user: String::new(), secret: user },
    };
    (url, Some(credentials))
}

/// A location without what is secret in it; none if it is no URL.
pub fn shown(location: &str) -> Option<String> {
    let (url, _) = split(location.parse().ok()?);
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether a location holds what is secret.
pub fn has_secret(location: &str) -> bool {
    location.parse().is_ok_and(|url| split(url).1.is_some())
}

/// Whether a host is this machine.
pub(crate) fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The variable that holds the token for a host: `LAB_TOKEN_` and the host, a dot as `_`, a dash as `__`.
/// None for a host with an underscore, which could be taken for another one.
fn variable(host: &str) -> Option<String> {
    let plain = host.replace(['[', ']'], "");
    let named = plain.replace('-', "__").replace(['.', ':'], "_");
    (!host.contains('_')).then(|| format!("LAB_TOKEN_{named}"))
}

/// Where what is shown to a host is looked for, in words.
pub(crate) fn places(host: &str) -> String {
    let named = variable(host).map_or_else(String::new, |name| format!("{name} or "));
    format!(
        "{named}~/.netrc (`machine {host} login me password TOKEN`) hold it, for https or this machine"
    )
}

/// What the environment, or else `.netrc`, says for a host.
pub(crate) fn known(host: &str) -> Option<Credentials> {
    let secret = variable(host).and_then(|name| std::env::var(name).ok());
    if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
        return Some(Credentials { user: String::new(), secret });
    }
    let path = match std::env::var_os("NETRC") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".netrc"),
    };
    match fs::read_to_string(&path) {
        Ok(text) => in_netrc(&text, host),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        // Whoever needs it will be told that a token is lacking, and where it is looked for.
        Err(_) => None,
    }
}

/// What a `.netrc` says for a host. What it says for all others goes to nobody: where a project's results
/// lie is said by whoever wrote the project.
fn in_netrc(text: &str, host: &str) -> Option<Credentials> {
    let mut words = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line_words: Vec<&str> =
            line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        if line_words.first() == Some(&"macdef") {
            // A macro goes on to the next empty line.
            for line in lines.by_ref() {
                if line.trim().is_empty() {
                    break;
                }
            }
            continue;
        }
        words.extend(line_words);
    }
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let machine = match word {
            "machine" => words.next()?,
            "default" => "",
            _ => continue,
        };
        let (mut user, mut secret) = (String::new(), None);
        while let Some(word) = words.next_if(|word| !matches!(*word, "machine" | "default")) {
            match word {
                "login" => user = words.next()?.to_owned(),
                "password" => secret = words.next().map(str::to_owned),
                "account" => drop(words.next()),
                _ => {}
            }
        }
        let found = secret.map(|secret| Credentials { user, secret });
        if machine.eq_ignore_ascii_case(host) {
            return found;
        }
    }
    None
}

impl Credentials {
    /// Whether they go as a token, and not as a name with a password.
    fn is_token(&self) -> bool {
        self.user.is_empty() || self.secret.starts_with(TOKEN)
    }

    /// Shows them with a request.
    pub(crate) fn shown_with(&self, request: RequestBuilder) -> RequestBuilder {
        match self.is_token() {
            true => request.bearer_auth(&self.secret),
            false => request.basic_auth(&self.user, Some(&self.secret)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_is_parted_from_its_secret() {
        let (plain, found) = split(url("https://lab_1_2@host/x"));
        assert_eq!(plain.as_str(), "https://host/x");
        let found = found.unwrap();
        assert!(found.is_token() && found.secret == "lab_1_2");
        let (plain, found) = split(url("https://ana:p%40ss@host/x"));
        assert_eq!(plain.as_str(), "https://host/x");
        let found = found.unwrap();
        assert!(!found.is_token() && found.user == "ana" && found.secret == "p@ss");
        assert_eq!(format!("{found:?}"), "Credentials(..)");
        assert!(split(url("https://ana:lab_1_2@host/x")).1.unwrap().is_token());
        assert_eq!(split(url("https://host/x")).1, None);
    }

    #[test]
    fn netrc_is_read_as_others_read_it() {
        let text = "machine a.org login ana password one # mine\n\
            machine b.org\n  login bo\n  password two\n\
            macdef init\nmachine evil.org login x password y\n\n\
            machine c.org login cy account z password three default login d password four\n";
        let secret = |host: &str| in_netrc(text, host).unwrap().secret;
        assert_eq!(secret("A.org"), "one");
        assert_eq!(secret("b.org"), "two");
        assert_eq!(secret("c.org"), "three");
        assert_eq!(in_netrc(text, "evil.org"), None);
        assert_eq!(in_netrc("machine a.org login ana", "a.org"), None);
        assert_eq!(in_netrc("machine a.org password", "a.org"), None);
        assert_eq!(in_netrc("", "a.org"), None);
    }

    #[test]
    fn the_variable_of_a_host_is_a_name_and_of_no_other_host() {
        assert_eq!(variable("lab.my-group.org").unwrap(), "LAB_TOKEN_lab_my__group_org");
        assert_eq!(variable("[::1]").unwrap(), "LAB_TOKEN___1");
        assert_eq!(variable("ai_.lab.org"), None, "it would be that of ai-lab.org");
    }

    proptest::proptest! {
        #[test]
        fn no_netrc_is_too_strange(text in "((machine|login|password|default|account|macdef|a.org|[#x])[ \n]{0,2}){0,12}") {
            // What it finds is a word of it.
            if let Some(found) = in_netrc(&text, "a.org") {
                proptest::prop_assert!(text.contains(&found.secret) && text.contains(&found.user));
            }
        }
    }
}
