//! The profiles of AWS's own tools: `~/.aws/credentials` and `~/.aws/config`.
//!
//! Read strictly: what is not understood is refused by its line, which is never shown, since it may hold
//! a key. Ways to keys other than the keys themselves are refused by name, with what to do instead.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::cloud::{BucketError, Vars};

/// Most bytes of a file that are read.
const MOST_BYTES: u64 = 1 << 20;

/// Sections with their settings.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// What a profile says of buckets. It holds secrets, so it cannot be shown.
#[derive(Default)]
pub(crate) struct Profile {
    /// Which, and where, for people.
    pub(crate) called: String,
    settings: BTreeMap<String, String>,
}

/// Access key, secret key, session token.
pub(crate) type Keys = (String, String, Option<String>);

impl Profile {
    /// The one that the environment means; an empty one if none is named and there is no default.
    pub(crate) fn find(vars: &Vars) -> Result<Profile, BucketError> {
        let named = vars.get("AWS_PROFILE");
        let name = named.unwrap_or("default");
        let file = |var, usual: &str| match (vars.get(var), vars.get("HOME")) {
            (Some(path), _) => Some(PathBuf::from(path)),
            (None, home) => home.map(|home| Path::new(home).join(".aws").join(usual)),
        };
        let config = file("AWS_CONFIG_FILE", "config");
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let (mut settings, mut known) = (BTreeMap::new(), Vec::new());
        // Keys in the second file go before those in the first.
        for (path, prefixed) in [(&config, true), (&credentials, false)] {
            let Some(path) = path else { continue };
            for (section, found) in read(path)? {
                let Some(section) = profile_name(&section, prefixed) else { continue };
                if section == name {
                    settings.extend(found);
                }
                known.push(section.to_owned());
            }
        }
        let places: Vec<String> =
            [credentials, config].iter().flatten().map(|path| path.display().to_string()).collect();
        let places = places.join(" or ");
        if named.is_some() && !known.iter().any(|there| there == name) {
            known.sort();
            known.dedup();
            known.truncate(10);
            let rest = match known.is_empty() {
                true => "there are none".to_owned(),
                false => format!("there are: {}", known.join(", ")),
            };
            let name = name.escape_debug();
            return Err(BucketError::Setting(format!(
                "AWS_PROFILE names profile '{name}', which is not in {places}; {rest}"
            )));
        }
        let called = match places.is_empty() {
            true => format!("profile '{name}'"),
            false => format!("profile '{name}' in {places}"),
        };
        Ok(Profile { called, settings })
    }

    fn get(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The region.
    pub(crate) fn region(&self) -> Option<&str> {
        self.get("region")
    }

    /// Whom to ask, if it is not AWS itself.
    pub(crate) fn endpoint(&self) -> Result<Option<&str>, BucketError> {
        if self.get("services").is_some() {
            return Err(
                self.refusal("`services`", "set AWS_ENDPOINT_URL_S3 to the endpoint instead")
            );
        }
        Ok(self.get("endpoint_url"))
    }

    /// The keys; none if it says nothing of keys.
    pub(crate) fn keys(&self) -> Result<Option<Keys>, BucketError> {
        let others = [
            "role_arn",
            "credential_process",
            "credential_source",
            "source_profile",
            "web_identity_token_file",
            "sso_session",
            "sso_start_url",
            "sso_account_id",
            "login_session",
        ];
        if let Some(other) = others.iter().find(|other| self.settings.contains_key(**other)) {
            return Err(self.refusal(
                &format!("keys by `{other}`"),
                "`aws configure export-credentials --format env` prints keys as variables to set",
            ));
        }
        let (id, secret) = (self.get("aws_access_key_id"), self.get("aws_secret_access_key"));
        let token = self.get("aws_session_token").map(str::to_owned);
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Some((id.to_owned(), secret.to_owned(), token))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.half("aws_access_key_id", "aws_secret_access_key")),
            (None, Some(_)) => Err(self.half("aws_secret_access_key", "aws_access_key_id")),
        }
    }

    fn refusal(&self, what: &str, instead: &str) -> BucketError {
        BucketError::Setting(format!("{} has {what}, which lab cannot use: {instead}", self.called))
    }

    fn half(&self, there: &str, lacking: &str) -> BucketError {
        BucketError::Setting(format!("{} has {there} without {lacking}", self.called))
    }
}

/// What a section is called as a profile; none if it is none.
fn profile_name(section: &str, prefixed: bool) -> Option<&str> {
    match section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])) {
        Some(rest) if prefixed => Some(rest.trim()),
        None if !prefixed || section == "default" => Some(section),
        _ => None,
    }
}

fn read(path: &Path) -> Result<Sections, BucketError> {
    let wrong =
        |why: String| BucketError::Setting(format!("cannot read {}: {why}", path.display()));
    let file = match File::open(path) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Sections::new());
        }
        file => file.map_err(|e| wrong(e.to_string()))?,
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong("it is larger than a MiB".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    parse(&text).map_err(|(line, why)| wrong(format!("line {line} {why}")))
}

/// Sections of `name = value`; what is indented belongs to the setting above it.
fn parse(text: &str) -> Result<Sections, (usize, &'static str)> {
    let mut sections = Sections::new();
    let mut current: Option<String> = None;
    let mut nested = false;
    for (number, line) in text.lines().enumerate() {
        let wrong = |why| (number + 1, why);
        let indented = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        // Settings of settings, none of which is asked for here.
        if indented && nested {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (name, after) =
                rest.split_once(']').ok_or(wrong("begins with '[' and has no ']'"))?;
            if !(after.trim().is_empty() || after.trim_start().starts_with(['#', ';'])) {
                return Err(wrong("has something after its ']'"));
            }
            let name = name.trim().replace(['"', '\''], "");
            if name.is_empty() {
                return Err(wrong("names no section"));
            }
            sections.entry(name.clone()).or_default();
            (current, nested) = (Some(name), false);
            continue;
        }
        let (name, value) =
            line.split_once('=').ok_or(wrong("is neither a [section] nor a setting"))?;
        let section = current.as_ref().and_then(|name| sections.get_mut(name));
        let section = section.ok_or(wrong("stands before the first [section]"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), without_remark(value.trim()));
        if name.is_empty() {
            return Err(wrong("has nothing before its '='"));
        }
        nested = value.is_empty();
        section.insert(name, value.to_owned());
    }
    Ok(sections)
}

/// A value without what is remarked after it.
fn without_remark(value: &str) -> &str {
    let remark = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    value[..remark.unwrap_or(value.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with(
        config: &str,
        credentials: &str,
        vars: &[(&str, &str)],
    ) -> Result<Profile, BucketError> {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        let home = home.path().to_str().unwrap();
        let usual = [("HOME", home)];
        let vars = usual.iter().chain(vars).map(|(n, v)| (n.to_string(), v.to_string()));
        Profile::find(&Vars::of(vars))
    }

    fn complaint<T>(result: Result<T, BucketError>) -> String {
        match result {
            Ok(_) => panic!("it is taken"),
            Err(error) => error.to_string(),
        }
    }

    const CONFIG: &str = "# mine\n[default]\nregion = eu-west-1\ns3 =\n  max_queue_size = 7\n  region = nested\n\n[profile lab]\nregion=eu-north-1 ; far\nendpoint_url = http://localhost:3900\nAWS_ACCESS_KEY_ID = config\naws_secret_access_key = config\n[sso-session x]\nsso_region = y\n";
    const CREDENTIALS: &str = "[default]\naws_access_key_id = A\naws_secret_access_key = s/e=c+r#et\n[lab]\naws_access_key_id=B\naws_secret_access_key=T\naws_session_token = tok\n";

    #[test]
    fn a_profile_is_found_in_both_files() {
        let plain = with(CONFIG, CREDENTIALS, &[]).unwrap();
        assert_eq!(plain.region(), Some("eu-west-1"));
        assert_eq!(plain.endpoint().unwrap(), None);
        assert_eq!(plain.keys().unwrap(), Some(("A".into(), "s/e=c+r#et".into(), None)));
        let lab = with(CONFIG, CREDENTIALS, &[("AWS_PROFILE", "lab")]).unwrap();
        assert_eq!(
            (lab.region(), lab.endpoint().unwrap()),
            (Some("eu-north-1"), Some("http://localhost:3900"))
        );
        assert_eq!(lab.keys().unwrap(), Some(("B".into(), "T".into(), Some("tok".into()))));
        let only = with(CONFIG, "", &[("AWS_PROFILE", "lab")]).unwrap();
        assert_eq!(only.keys().unwrap().unwrap().0, "config");
        assert!(with("", "", &[]).unwrap().keys().unwrap().is_none());
    }

    #[test]
    fn files_can_lie_elsewhere_or_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, CREDENTIALS).unwrap();
        let elsewhere = [("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap())];
        assert_eq!(with("", "", &elsewhere).unwrap().keys().unwrap().unwrap().0, "A");
        let nowhere = Vars::of([("HOME".to_owned(), "/nowhere".to_owned())].into_iter());
        assert!(Profile::find(&nowhere).unwrap().keys().unwrap().is_none());
        assert!(Profile::find(&Vars::of(std::iter::empty())).unwrap().keys().unwrap().is_none());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let said = complaint(with(CONFIG, CREDENTIALS, &[("AWS_PROFILE", "labb")]));
        assert!(
            said.contains("profile 'labb'") && said.contains("there are: default, lab"),
            "{said}"
        );
        // In the config file a profile is called so, in the other it is not.
        assert!(with("[lab]\nregion = x\n", "", &[("AWS_PROFILE", "lab")]).is_err());
        assert!(with("", "[profile lab]\nregion = x\n", &[("AWS_PROFILE", "lab")]).is_err());
    }

    #[test]
    fn other_ways_to_keys_are_refused_by_name() {
        for way in [
            "sso_session = x",
            "credential_process = /bin/x s3cret",
            "role_arn = arn:x\nsource_profile = y",
        ] {
            let profile = with(&format!("[default]\n{way}\n"), CREDENTIALS, &[]).unwrap();
            let said = complaint(profile.keys());
            let name = way.split(' ').next().unwrap();
            assert!(said.contains(name) && said.contains("export-credentials"), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
            // Its region can be used all the same.
            assert_eq!(profile.region(), None);
        }
        let half = with("", "[default]\naws_access_key_id = A\n", &[]).unwrap();
        assert!(complaint(half.keys()).contains("without aws_secret_access_key"));
        let services = with("[default]\nservices = x\n", "", &[]).unwrap();
        assert!(complaint(services.endpoint()).contains("AWS_ENDPOINT_URL_S3"));
    }

    #[test]
    fn what_is_not_understood_is_told_by_its_line_alone() {
        for (line, text) in [
            (1, "aws_secret_access_key = s3cret\n"),
            (2, "[default]\ns3cret\n"),
            (2, "\n[default s3cret\n"),
            (1, "[default] s3cret\n"),
            (1, "[]\n"),
            (3, "[default]\na = b\n= s3cret\n"),
        ] {
            let said = complaint(with("", text, &[]));
            assert!(said.contains(&format!("line {line} ")), "{text:?}: {said}");
            assert!(said.contains(".aws/credentials") && !said.contains("s3cret"), "{said}");
        }
    }
}
