//! From a location and the environment to a bucket.
//!
//! The variables are those that the clouds' own tools read. Nothing is asked of anybody here, and no value
//! of a variable is ever repeated, since it may be a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use super::carrier::Connector;
use super::profile::Profile;
use super::trouble::shown;
use super::{Bucket, Limits, Terms};
use crate::runtime::wait;
use crate::web::{Patience, Told};

/// What locations in buckets begin with.
pub const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// Why there is no bucket to ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The location is none: the rule that it breaks.
    #[error("{0}")]
    BadLocation(&'static str),
    /// A variable or a profile is not as it should be.
    #[error("{0}")]
    Setting(String),
}

/// The environment, without what is empty. It holds secrets, so it cannot be shown.
pub(crate) struct Vars(BTreeMap<String, String>);

impl Vars {
    /// That of this process.
    fn here() -> Vars {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Vars::of(std::env::vars_os().filter_map(text))
    }

    /// These variables.
    pub(crate) fn of(all: impl Iterator<Item = (String, String)>) -> Vars {
        Vars(all.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Those that begin so, with names in small letters.
    fn begin(&self, prefix: &str) -> impl Iterator<Item = (String, &str)> {
        let ours = self.0.iter().filter(move |(name, _)| name.starts_with(prefix));
        ours.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}

/// What speaks to a bucket.
struct Spoken {
    store: Arc<dyn ObjectStore>,
    keys: String,
    conditional: bool,
}

/// The bucket at a location such as `s3://BUCKET/PREFIX`. `told` hears when something is tried again.
pub fn connect(location: &str, told: Told) -> Result<Bucket, BucketError> {
    let (scheme, bucket, prefix) = parse(location)?;
    let vars = Vars::here();
    let spoken = wait(async {
        match scheme {
            "s3" => s3(bucket, &vars),
            "gs" => gs(bucket, &vars),
            _ => az(bucket, &vars),
        }
    });
    let spoken = spoken.map_err(|e| BucketError::Setting(e.to_string()))??;
    let slash = if prefix.is_empty() { "" } else { "/" };
    Ok(Bucket::new(Terms {
        store: spoken.store,
        location: format!("{scheme}://{bucket}{slash}{prefix}"),
        prefix: prefix.to_owned(),
        keys: spoken.keys,
        conditional: spoken.conditional,
        patience: Patience::default(),
        limits: Limits::default(),
        told,
    }))
}

/// Scheme, bucket, and prefix without slashes at its ends.
fn parse(location: &str) -> Result<(&'static str, &str, &str), BucketError> {
    let bad = BucketError::BadLocation;
    let (scheme, rest) = location.split_once("://").ok_or(bad("it has no scheme"))?;
    let scheme = SCHEMES.into_iter().find(|known| known.eq_ignore_ascii_case(scheme));
    let scheme = scheme.ok_or(bad("it is in no bucket"))?;
    if rest.contains(['@', '?', '#']) {
        return Err(bad(
            "keys, users and options do not stand in a location, which others may read",
        ));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._$".contains(&b);
    if bucket.is_empty() {
        return Err(bad("it names no bucket"));
    }
    if bucket.len() > 255 || !bucket.bytes().all(fine) || bucket.starts_with(['-', '.']) {
        return Err(bad("a bucket's name has letters, digits, '-', '.' and '_'"));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.chars().any(char::is_control) {
        return Err(bad("it holds a control character"));
    }
    let parsed = Path::parse(prefix);
    let hole = !prefix.is_empty() && prefix.split('/').any(str::is_empty);
    if hole || prefix.len() > 700 || parsed.is_err() {
        return Err(bad("a prefix has no empty part, no '.' and no '..', and up to 700 bytes"));
    }
    Ok((scheme, bucket, prefix))
}

/// What is worth asking again is asked again above, where it can be said.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..Default::default() }
}

fn connector(sought: String) -> Connector {
    Connector { sought, silence: Patience::default().silence }
}

fn built<T>(built: object_store::Result<T>, what: &str) -> Result<T, BucketError> {
    built.map_err(|e| BucketError::Setting(format!("{what}: {}", shown(&e.to_string()))))
}

fn s3(bucket: &str, vars: &Vars) -> Result<Spoken, BucketError> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in vars.begin("AWS_") {
        if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let anonymous = vars.get("AWS_SKIP_SIGNATURE").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let other_keys = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let profile = Profile::find(vars)?;
    let mut keys = String::new();
    match (vars.get("AWS_ACCESS_KEY_ID"), vars.get("AWS_SECRET_ACCESS_KEY")) {
        (Some(_), Some(_)) => keys = "the keys are those in AWS_ACCESS_KEY_ID".to_owned(),
        (Some(_), None) => {
            return Err(BucketError::Setting(
                "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY".into(),
            ));
        }
        (None, Some(_)) => {
            return Err(BucketError::Setting(
                "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID".into(),
            ));
        }
        _ if anonymous => keys = "no keys are used, as AWS_SKIP_SIGNATURE says".to_owned(),
        _ => {
            if let Some(other) = other_keys.iter().find(|name| vars.get(name).is_some()) {
                keys = format!("the keys come by {other}");
            } else if let Some((id, secret, token)) = profile.keys()? {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret);
                if let Some(token) = token {
                    builder = builder.with_token(token);
                }
                keys = format!("the keys are those of {}", profile.called);
            }
        }
    }
    if vars.get("AWS_REGION").or(vars.get("AWS_DEFAULT_REGION")).is_none()
        && let Some(region) = profile.region()
    {
        builder = builder.with_region(region);
    }
    let endpoint = endpoint(vars, &profile)?;
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    let sought = format!(
        "there are no keys: not in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not in {}, and no metadata service of a cloud gives any",
        profile.called
    );
    let builder = builder
        .with_bucket_name(bucket)
        .with_disable_bulk_delete(true)
        // Whether it looks at conditions is found out, so that all clients of a bucket think the same.
        .with_conditional_put(object_store::aws::S3ConditionalPut::ETagMatch)
        .with_retry(once())
        .with_http_connector(connector(sought));
    let store = Arc::new(built(builder.build(), "a variable that begins with AWS_ is wrong")?);
    Ok(Spoken { store, keys, conditional: endpoint.is_none() })
}

/// Whom to ask, if it is not AWS itself.
fn endpoint<'a>(vars: &'a Vars, profile: &'a Profile) -> Result<Option<&'a str>, BucketError> {
    let ignored = vars.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    let (from, found) = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|name| Some((*name, Some(vars.get(name)?))))
        .unwrap_or(("endpoint_url of the profile", None));
    let found = match found {
        None if !ignored.is_some_and(|v| v.eq_ignore_ascii_case("true")) => profile.endpoint()?,
        found => found,
    };
    let Some(url) = found else { return Ok(None) };
    let host = url.strip_prefix("http://").or(url.strip_prefix("https://"));
    let host = host.filter(|host| !host.is_empty() && !host.starts_with(['/', ':']));
    let bad = |why: &str| Err(BucketError::Setting(format!("{from} {why}")));
    match host {
        None => bad("is no URL that begins with https:// or http://"),
        Some(host) if host.contains(['@', '?', '#']) => bad("holds more than a host and a path"),
        Some(host) if host.bytes().any(|b| b <= b' ' || b >= 127) => bad("holds what no URL holds"),
        Some(_) => Ok(Some(url.trim_end_matches('/'))),
    }
}

fn gs(bucket: &str, vars: &Vars) -> Result<Spoken, BucketError> {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in vars.begin("GOOGLE_") {
        if let Ok(key) = name.parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let sought = "there are no keys: not by GOOGLE_APPLICATION_CREDENTIALS, not by `gcloud auth application-default login`, and no metadata service of a cloud gives any".to_owned();
    let builder = builder.with_bucket_name(bucket).with_retry(once());
    let builder = builder.with_http_connector(connector(sought));
    let store = Arc::new(built(
        builder.build(),
        "a variable that begins with GOOGLE_, or what it names, is wrong",
    )?);
    Ok(Spoken { store, keys: String::new(), conditional: true })
}

fn az(container: &str, vars: &Vars) -> Result<Spoken, BucketError> {
    let mut builder = MicrosoftAzureBuilder::new();
    let mut account = vars.get("AZURE_STORAGE_USE_EMULATOR").is_some();
    for (name, value) in vars.begin("AZURE_") {
        if let Ok(key) = name.parse::<AzureConfigKey>() {
            account |= matches!(key, AzureConfigKey::AccountName);
            if matches!(key, AzureConfigKey::Endpoint) && value.starts_with("http://") {
                builder = builder.with_allow_http(true);
            }
            builder = builder.with_config(key, value);
        }
    }
    if !account {
        return Err(BucketError::Setting("AZURE_STORAGE_ACCOUNT_NAME is not set".into()));
    }
    if let Some(endpoint) = vars.get("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    let sought = "there are no keys: not in AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or AZURE_STORAGE_CLIENT_ID, and no metadata service of a cloud gives any".to_owned();
    let builder = builder.with_container_name(container).with_retry(once());
    let builder = builder.with_http_connector(connector(sought));
    let store = Arc::new(built(builder.build(), "a variable that begins with AZURE_ is wrong")?);
    Ok(Spoken { store, keys: String::new(), conditional: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(all: &[(&str, &str)]) -> Vars {
        Vars::of(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn locations_are_buckets_with_prefixes() {
        for (location, expected) in [
            ("s3://b", ("s3", "b", "")),
            ("S3://my-bucket.x/", ("s3", "my-bucket.x", "")),
            ("gs://b/a/b c/", ("gs", "b", "a/b c")),
            ("az://$web/é", ("az", "$web", "é")),
        ] {
            assert_eq!(parse(location).unwrap(), expected, "{location}");
        }
        for bad in [
            "s3://",
            "s3:///x",
            "s3://b//x",
            "s3://b/x//",
            "s3://b/../c",
            "s3://b/./c",
            "s3://b/a\nb",
            "s3://-b",
            "s3://b c/x",
            "s3://key:s3cret@b/x",
            "az://c/x?sig=s3cret",
            "s3://b/x#y",
            "ftp://b",
            "b",
        ] {
            let said = parse(bad).unwrap_err().to_string();
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_environment_is_said_without_its_values() {
        let s3 = |all: &[(&str, &str)]| wait(async { s3("b", &vars(all)) }).unwrap();
        let keys = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "s3cret")];
        let with = |name, value| s3(&[keys[0], keys[1], (name, value)]);
        assert!(s3(&keys).unwrap().conditional);
        assert!(!with("AWS_ENDPOINT_URL", "http://localhost:1").unwrap().conditional);
        assert!(with("AWS_CONDITIONAL_PUT", "disabled").is_ok());
        for (result, expected) in [
            (s3(&keys[..1]), "AWS_SECRET_ACCESS_KEY"),
            (s3(&keys[1..]), "without AWS_ACCESS_KEY_ID"),
            (with("AWS_ENDPOINT_URL", "localhost:3900"), "AWS_ENDPOINT_URL is no URL"),
            (
                with("AWS_ENDPOINT_URL_S3", "https://u:s3cret@host"),
                "AWS_ENDPOINT_URL_S3 holds more",
            ),
            (with("AWS_ENDPOINT_URL", "http://"), "AWS_ENDPOINT_URL is no URL"),
            (with("AWS_ENDPOINT_URL", "http://a b"), "AWS_ENDPOINT_URL holds what no"),
            (with("AWS_PROFILE", "nobody"), "profile 'nobody'"),
            (with("AWS_UNSIGNED_PAYLOAD", "perhaps"), "begins with AWS_"),
        ] {
            let Err(error) = result else { panic!("{expected}") };
            let said = format!("{error} {error:?}");
            assert!(said.contains(expected) && !said.contains("s3cret"), "{said}");
        }
        let az = |all: &[(&str, &str)]| wait(async { az("c", &vars(all)) }).unwrap();
        assert!(matches!(az(&[]), Err(BucketError::Setting(why)) if why.contains("ACCOUNT_NAME")));
        let account = ("AZURE_STORAGE_ACCOUNT_NAME", "a");
        assert!(az(&[account, ("AZURE_STORAGE_ACCOUNT_KEY", "czNjcmV0")]).unwrap().conditional);
        let Err(error) = az(&[account, ("AZURE_STORAGE_ACCOUNT_KEY", "s3cret!")]) else { panic!() };
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn nothing_that_is_shown_holds_a_secret() {
        let all = [
            ("AWS_ACCESS_KEY_ID", "A"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_SESSION_TOKEN", "s3cret"),
        ];
        let spoken = wait(async { s3("b", &vars(&all)) }).unwrap().unwrap();
        let bucket = Bucket::new(Terms {
            store: spoken.store,
            location: "s3://b".to_owned(),
            prefix: String::new(),
            keys: spoken.keys,
            conditional: false,
            patience: Patience::default(),
            limits: Limits::default(),
            told: Box::new(|_| {}),
        });
        assert!(!format!("{bucket:?}").contains("s3cret"));
    }
}
