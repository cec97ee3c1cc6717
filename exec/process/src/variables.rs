//! Which environment variables enter a recipe, and which a command sees beside it.
//!
//! Three classes. *Recorded*: known to steer computations, and their values enter the recipe.
//! *Passed through*: a program needs them to find its home or to reach the network, their values
//! are a person's own, and only their names are recorded. All others: the command does not see
//! them. A variable whose name smells of a secret is never recorded, whatever class its name
//! would put it in; nor is a value that holds a password in a URL.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Recorded variables: exact names.
const RECORDED: [&str; 27] = [
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "MKLROOT",
    "GOTO_NUM_THREADS",
    "OMP_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "MALLOC_ARENA_MAX",
    "GLIBC_TUNABLES",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SOURCE_DATE_EPOCH",
];

/// Recorded variables: how the names of whole families start.
const RECORDED_FAMILIES: [&str; 28] = [
    "LC_",
    "PYTHON",
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "BLIS_",
    "NUMEXPR_",
    "NPY_",
    "NUMBA_",
    "CUDA_",
    "CUBLAS_",
    "CUDNN_",
    "NVIDIA_",
    "NCCL_",
    "GLOO_",
    "TORCH",
    "PYTORCH_",
    "TRITON_",
    "XLA_",
    "TF_",
    "JAX_",
    "ROCM_",
    "HIP_",
    "RAYON_",
    "TOKENIZERS_",
    "JULIA_",
];

/// Variables that a command sees although their values are in no recipe.
///
/// Home and user: configuration and caches live there. Proxies and certificates: they decide
/// whether the network answers, not what it says. `TERM` is not among them: a command that `lab`
/// runs never writes to a terminal.
pub const PASSED_THROUGH: [&str; 19] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
];

/// Words that make a name smell of a secret if a part of it starts or ends with one.
const SMELLS: [&str; 11] = [
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "TOKEN",
    "KEY",
    "COOKIE",
    "PRIVATE",
    "AUTH",
];

/// The same if a part ends with one.
const ENDINGS: [&str; 3] = ["TOKENS", "KEYS", "SECRETS"];

/// The same if it is the last of several parts.
const LAST_PARTS: [&str; 3] = ["PAT", "PASS", "PWD"];

/// How parts start that only look like those: `TOKENIZERS_PARALLELISM`, `GIT_AUTHOR_NAME`.
const HARMLESS: [&str; 6] = ["TOKENIZE", "TOKENIZA", "KEYBOARD", "AUTHOR_", "KEYPOINT", "KEYFRAME"];

/// Whether a variable's name says that its value is a secret, so that it must never be kept.
///
/// Errs on the side of saying yes. The parts of the name between `_` and other separators are
/// looked at one by one and without regard to case, so that `HF_TOKEN`, `apikey` and `OAUTH` are
/// secrets, while `TOKENIZERS_PARALLELISM` and `PATTERN` are not.
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_uppercase();
    let parts: Vec<&str> = upper.split(|c: char| !c.is_alphanumeric()).collect();
    let smells = |part: &&str| {
        // The mark behind the part lets `AUTHOR` be told from `AUTHORIZATION`.
        let marked = format!("{part}_");
        !HARMLESS.iter().any(|start| marked.starts_with(start))
            && (SMELLS.iter().any(|word| part.starts_with(word) || part.ends_with(word))
                || ENDINGS.iter().any(|word| part.ends_with(word)))
    };
    let last = parts.last().filter(|_| parts.len() > 1);
    parts.iter().any(smells) || last.is_some_and(|part| LAST_PARTS.contains(part))
}

/// Those of `vars` that a recipe records, with their values.
///
/// Values that are not UTF-8 or hold a password cannot be kept; [`unrecordable_variables`] names
/// them.
pub fn recorded_variables(
    vars: impl Iterator<Item = (OsString, OsString)>,
) -> BTreeMap<String, String> {
    vars.filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|n| is_known(n) && !is_secret(n))?;
        let value = value.into_string().ok().filter(|v| !holds_password(v))?;
        Some((name, value))
    })
    .collect()
}

/// The names of those of `vars` that belong to the recorded families, yet are not recorded: their
/// names smell of a secret, or their values are not UTF-8 or hold a password. A command does not
/// see them. Sorted.
pub fn unrecordable_variables(vars: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let unrecordable = |name: &str, value: &OsStr| {
        is_known(name) && (is_secret(name) || value.to_str().is_none_or(holds_password))
    };
    let mut names: Vec<String> = vars
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, value)| unrecordable(name, value))
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names
}

fn is_known(name: &str) -> bool {
    RECORDED.contains(&name) || RECORDED_FAMILIES.iter().any(|f| name.starts_with(f))
}

/// Whether the text holds a URL with `user:password@`.
pub(crate) fn holds_password(value: &str) -> bool {
    value.match_indices("://").any(|(at, mark)| {
        let rest = &value[at + mark.len()..];
        let end = rest.find(['/', '?', '#', ' ']).unwrap_or(rest.len());
        rest[..end].rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> + use<> {
        let owned: Vec<_> = pairs.iter().map(|(k, v)| (k.into(), v.into())).collect();
        owned.into_iter()
    }

    #[test]
    fn secrets_are_smelled() {
        for secret in [
            "HF_TOKEN",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "OPENAI_API_KEY",
            "apikey",
            "apiKey",
            "WANDB_API_KEY",
            "PGPASSWORD",
            "DB_PASSWD",
            "OAUTH",
            "HTTP_AUTH",
            "AUTHORIZATION",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "SSH_AUTH_SOCK",
            "MY_PRIVATE_THING",
            "CUDA_TOKEN",
            "KEY",
            "TOKEN_2",
            "SECRETS",
            "GITHUB_PAT",
            "DB_PASS",
            "AUTH",
            "AUTHTOKEN",
            "SESSION-COOKIE",
            "KEYRING",
            "TOKENFILE",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in [
            "PATH",
            "LANG",
            "TZ",
            "PYTHONHASHSEED",
            "TOKENIZERS_PARALLELISM",
            "GIT_AUTHOR_NAME",
            "KEYBOARD_LAYOUT",
            "CUDA_VISIBLE_DEVICES",
            "PWD",
            "XLA_FLAGS",
            "PATTERN",
            "COMPASS",
            "",
        ] {
            assert!(!is_secret(plain), "{plain}");
        }
    }

    #[test]
    fn what_steers_a_computation_is_recorded_and_nothing_else() {
        let recorded = recorded_variables(vars(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("OMP_NUM_THREADS", "4"),
            ("HOME", "/home/x"),
            ("PYTHONHASHSEED", "0"),
            ("CUDA_TOKEN", "s3cret"),
            ("EDITOR", "vi"),
            ("HF_TOKEN", "x"),
            ("TOKENIZERS_PARALLELISM", "false"),
        ]));
        let names: Vec<&str> = recorded.keys().map(String::as_str).collect();
        let expected =
            ["LC_ALL", "OMP_NUM_THREADS", "PATH", "PYTHONHASHSEED", "TOKENIZERS_PARALLELISM"];
        assert_eq!(names, expected);
    }

    #[test]
    fn values_that_cannot_be_kept_are_named() {
        use std::os::unix::ffi::OsStringExt;
        let odd = || {
            let mut all: Vec<_> = vars(&[
                ("XLA_FLAGS", "--dump=ftp://me:pw@host/x"),
                ("TF_URL", "http://host:80/a@b"),
                ("CUDA_TOKEN", "x"),
                ("EDITOR", "vi"),
            ])
            .collect();
            all.push(("PYTHONPATH".into(), OsString::from_vec(b"/a\xff".to_vec())));
            all.push((OsString::from_vec(b"PYTHON\xff".to_vec()), "x".into()));
            all.into_iter()
        };
        assert_eq!(unrecordable_variables(odd()), ["CUDA_TOKEN", "PYTHONPATH", "XLA_FLAGS"]);
        assert_eq!(recorded_variables(odd()).into_keys().collect::<Vec<_>>(), ["TF_URL"]);
    }

    #[test]
    fn what_is_passed_through_is_not_recorded() {
        assert!(!PASSED_THROUGH.iter().any(|name| is_known(name)));
    }
}
