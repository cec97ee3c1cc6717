//! Who ran, who verified, and whether they signed it: with keys and checks of OpenSSH, and what a store
//! does that takes only what is signed.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod kit;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use kit::{Place, Said, said};
use lab_objects::{Folder, Store};
use lab_schema::{Object, RunId, Signature, Signed};

/// A registry with a run under `base`, and a key of Ana's beside it; none where there is no ssh-keygen.
fn place() -> Option<Place> {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        println!("skipped: no ssh-keygen here");
        return None;
    }
    let place = Place::registry();
    key(&place, "ana", "");
    place.write("data.txt", "1 2 3\n");
    place.lab(["run", "--name", "base", "--", "sh", "-c", MAKE]).succeeds();
    Some(place)
}

const MAKE: &str = "cat data.txt > sum.txt";

fn key(place: &Place, name: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", &format!("{name}@e.org"), "-N", passphrase, "-f"])
        .arg(place.at(name))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Lines of allowed signers for these keys, with options.
fn signers(place: &Place, names: &[&str], options: &str) -> String {
    let line = |name: &&str| {
        let public = String::from_utf8(place.read(format!("{name}.pub"))).unwrap();
        format!("{name}@e.org {options} {public}")
    };
    names.iter().map(line).collect()
}

/// Sets a registry's key and whom it believes.
fn configure(place: &Place, folder: &str, user: &str, trust: &str) {
    let text = format!("[user]\n{user}\n[trust]\n{trust}\n");
    place.write(Path::new(folder).join("config.toml"), text);
}

const KEY: &str = "signing-key = \"ana\"";
const BELIEVE: &str = "allowed-signers = \"signers\"";
const REQUIRE: &str = "allowed-signers = \"signers\"\nrequire = \"signed\"";

#[test]
fn a_run_and_its_verification_are_signed_and_openssh_agrees() {
    let Some(place) = place() else { return };
    place.lab(["log"]).succeeds();
    assert!(!place.lab(["log"]).succeeds().out.contains("signed"), "nobody cares yet");
    place.lab(["show", "base"]).succeeds().says("trust     not signed");
    configure(&place, ".lab", KEY, "");
    place.lab(["log"]).succeeds().says("not signed");
    place.lab(["sign", "base"]).succeeds().says("run   signed with SHA256:");
    place.lab(["sign", "base"]).succeeds().says("is signed already");
    place.lab(["show", "base"]).succeeds().says("signed by an unknown key SHA256:");

    place.write("signers", signers(&place, &["ana"], ""));
    configure(&place, ".lab", KEY, BELIEVE);
    place.lab(["log"]).succeeds().says("  signed by ana@e.org\n");
    place.lab(["show", "base"]).succeeds().says("trust     signed by ana@e.org (SHA256:");
    let verified = place.lab(["verify", "base", "--json"]);
    let verified = verified.json();
    assert_eq!(verified[0]["signatures"][0]["standing"], "good");
    assert_eq!(verified[0]["run_signatures"][0]["principals"][0], "ana@e.org");
    place.lab(["log"]).succeeds().says("(signed by ana@e.org)  signed by ana@e.org\n");
    let verdict = verified[0]["verdict"].as_str().unwrap();
    let line = format!("by ana, {verdict}, signed by ana@e.org (SHA256:");
    place.lab(["show", "base"]).succeeds().says(&line);
    let attestation = verified[0]["attestation"].as_str().unwrap();
    place.lab(["show", attestation]).succeeds().says("trust     signed by ana@e.org (SHA256:");

    // A run that is recorded now is signed at once.
    place.write("data.txt", "4\n");
    let ran = place.lab(["run", "--name", "base", "--json", "--", "sh", "-c", MAKE]).succeeds();
    let key = ran.json()["signature"]["key"].as_str().unwrap().to_owned();
    let shown = place.lab(["show", "base", "--json"]).succeeds().json();
    assert_eq!(shown["signatures"][0]["key"], key);
    assert_eq!(shown["signatures"][0]["words"], format!("signed by ana@e.org ({key})"));

    // OpenSSH's own word, on each of the three, as `lab show` says how.
    for (signature, namespace) in [
        (&shown["signatures"][0], "lab-run"),
        (&verified[0]["run_signatures"][0], "lab-run"),
        (&verified[0]["signatures"][0], "lab-attestation"),
    ] {
        let id = signature["id"].as_str().unwrap();
        place.lab(["show", id]).succeeds().says("signed by ana@e.org").complains(namespace);
        let shown = place.lab(["show", id, "--json"]).succeeds().json();
        place.write("sig", place.lab(["cat", id]).succeeds().out);
        place.write("message", shown["message"].as_str().unwrap());
        let check = |who: &str, namespace: &str| {
            Command::new("ssh-keygen")
                .args(["-Y", "verify", "-I", who, "-n", namespace, "-f"])
                .arg(place.at("signers"))
                .arg("-s")
                .arg(place.at("sig"))
                .stdin(fs::File::open(place.at("message")).unwrap())
                .output()
                .unwrap()
                .status
                .success()
        };
        assert!(check("ana@e.org", namespace));
        assert!(!check("bob@e.org", namespace) && !check("ana@e.org", "git"));
    }
    place.lab(["check"]).succeeds().says("sound");
}

#[test]
fn several_people_sign_and_each_is_judged_alone() {
    let Some(place) = place() else { return };
    for name in ["bob", "eve"] {
        key(&place, name, "");
    }
    place.write("signers", signers(&place, &["ana"], ""));
    configure(&place, ".lab", "", BELIEVE);
    for name in ["ana", "bob", "eve"] {
        place.lab(["sign", "base", "--key", name]).succeeds();
    }
    let words = |environment: Option<&str>| {
        let mut command = place.command();
        command.args(["show", "base", "--json"]);
        command.envs(environment.map(|file| ("LAB_ALLOWED_SIGNERS", file)));
        let shown = said(&mut command).succeeds().json();
        let all = shown["signatures"].as_array().unwrap().clone();
        let standing = |s: &serde_json::Value| s["standing"].as_str().unwrap().to_owned();
        all.iter().map(standing).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(words(None), "good unlisted unlisted");
    place.write("more", signers(&place, &["ana", "bob", "eve"], ""));
    assert_eq!(words(Some("more")), "good good good");
    place.write("late", signers(&place, &["bob"], "valid-before=\"20200101Z\""));
    assert_eq!(words(Some("late")), "unlisted unlisted unlisted");
    place.write("other", signers(&place, &["eve"], "namespaces=\"lab-attestation,git\""));
    assert_eq!(words(Some("other")), "unlisted unlisted unlisted");
    // What is wrong with the file is said, and what is right in it counts.
    let lines = format!("nonsense\n* cert-authority {}", signers(&place, &["ana"], ""));
    place.write("odd", lines + &signers(&place, &["bob"], ""));
    assert_eq!(words(Some("odd")), "good unlisted unlisted");
    let mut odd = place.command();
    odd.args(["log"]).env("LAB_ALLOWED_SIGNERS", "odd");
    said(&mut odd).succeeds().complains("odd, line 1 allows nobody").says("signed by bob@e.org");
    let mut none = place.command();
    none.args(["log"]).env("LAB_ALLOWED_SIGNERS", "absent");
    said(&mut none).succeeds().complains("nobody is believed").says("signed by an unknown key");
}

#[test]
fn forged_signatures_in_the_store_are_never_called_good() {
    let Some(place) = place() else { return };
    place.write("signers", signers(&place, &["ana"], ""));
    configure(&place, ".lab", KEY, BELIEVE);
    place.lab(["sign", "base"]).succeeds();
    place.write("data.txt", "other\n");
    place.lab(["run", "--name", "other", "--", "sh", "-c", MAKE]).succeeds();
    let run = |name: &str| Signed::Run(place.id(name).parse::<RunId>().unwrap());
    let store = Store::open(Arc::new(Folder::open(&place.at(".lab")).unwrap())).unwrap();
    let shown = place.lab(["show", "base", "--json"]).succeeds().json();
    let id = shown["signatures"][0]["id"].as_str().unwrap();
    let real: Signature = store.load(id.parse().unwrap()).unwrap();

    place.write("data.txt", "third\n");
    let mut bare = place.command();
    bare.args(["run", "--name", "bare", "--", "sh", "-c", MAKE]).env("LAB_SIGNING_KEY", "/absent");
    said(&mut bare).succeeds().complains("is recorded, but not signed");
    // Ana's signature of one run, put at another; and at the same with another time.
    let mut writer = store.writer();
    let forged = Signature::new(run("bare"), real.signed_ms(), real.sshsig().to_vec()).unwrap();
    writer.put(&forged).unwrap();
    let mut bits = real.sshsig().to_vec();
    *bits.last_mut().unwrap() ^= 1;
    writer.put(&Signature::new(run("base"), real.signed_ms(), bits).unwrap()).unwrap();
    writer.finish().unwrap();

    let bare = place.lab(["show", "bare"]).succeeds().says("signature does not hold: it is not by");
    assert!(!bare.out.contains("signed by"), "{}", bare.out);
    let log = place.lab(["log"]).succeeds().out;
    let line = |name: &str| log.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("bare").ends_with("signature does not hold"), "{log}");
    // Beside a good one, a bad one is told as well.
    assert!(line("base").ends_with("signed by ana@e.org, signature does not hold"), "{log}");
    place.lab(["show", &forged.id().to_string()]).succeeds().says("does not hold");
    place.lab(["check"]).succeeds();
    // It is not taken for one of ours either.
    place.lab(["sign", "bare"]).succeeds().says("run   signed with");
}

#[test]
fn a_run_that_cannot_be_signed_is_recorded_all_the_same() {
    let Some(place) = place() else { return };
    key(&place, "locked", "open sesame");
    fs::copy(place.at("ana"), place.at("open")).unwrap();
    fs::set_permissions(place.at("open"), fs::Permissions::from_mode(0o644)).unwrap();
    for (n, (key, why)) in [
        ("absent", "cannot read"),
        ("data.txt", "is not an SSH key"),
        ("locked", "ssh-keygen did not sign with"),
        ("open", "can be read by others (mode 644)"),
    ]
    .into_iter()
    .enumerate()
    {
        configure(&place, ".lab", &format!("signing-key = \"{key}\""), "");
        place.write("data.txt", format!("{n}\n"));
        let name = format!("run-{n}");
        let ran = place.lab(["run", "--name", &name, "--", "sh", "-c", MAKE]).succeeds();
        let ran =
            ran.complains("warning: run").complains("is recorded, but not signed").complains(why);
        ran.complains(&format!("`lab sign {}` signs it later", &place.id(&name)[..12]));
        // Also for programs, and when there is to be quiet.
        place.write("data.txt", format!("{n} again\n"));
        let args = ["-q", "run", "--json", "--", "sh", "-c", MAKE];
        let quiet = place.lab(args).succeeds().complains(why);
        assert!(quiet.json()["signature"]["error"].as_str().unwrap().contains(why));
        let exit = if key == "absent" {
            3
        } else if key == "data.txt" {
            2
        } else {
            4
        };
        place.lab(["sign", "run-0"]).exits(exit).complains(why);
    }
    configure(&place, ".lab", "", "");
    place.lab(["sign", "base"]).exits(2).complains("there is no key to sign with");
    place.lab(["sign", "nothing", "--key", "ana"]).exits(3);
    place.lab(["sign", "base:sum.txt", "--key", "ana"]).exits(2).complains("is a blob");
    place.lab(["sign", "run-0", "--key", "ana"]).succeeds();
    // What a process that was killed while it signed has left goes with the next run.
    fs::create_dir(place.at(".lab/scratch/sign-1-0")).unwrap();
    place.write(".lab/scratch/sign-1-0/lock", "");
    place.lab(["run", "--", "sh", "-c", "echo x > x"]).succeeds();
    // Nothing of a key was kept anywhere.
    let private = String::from_utf8(place.read("ana")).unwrap();
    let secret = private.lines().nth(2).unwrap();
    for file in kit::files(&place.at(".lab"), &[""]) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", file.display());
    }
    assert!(fs::read_dir(place.at(".lab/scratch")).unwrap().next().is_none(), "something is left");
    // An old typo is named with what is known.
    place.write(".lab/config.toml", "[trust]\nrequire = \"signatures\"\n");
    place.lab(["log"]).exits(2).complains("config.toml").complains("require");
}

/// A program that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_signs_for_a_key_whose_private_half_is_not_here() {
    let Some(place) = place() else { return };
    let socket = place.at("agent");
    let agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let Ok(agent) = agent else { return println!("skipped: no ssh-agent here") };
    let _agent = Ends(agent);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !socket.exists() {
        assert!(std::time::Instant::now() < until, "ssh-agent does not come up");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let add = Command::new("ssh-add").arg(place.at("ana")).env("SSH_AUTH_SOCK", &socket).output();
    assert!(add.unwrap().status.success());
    fs::remove_file(place.at("ana")).unwrap();
    place.write("signers", signers(&place, &["ana"], ""));
    configure(&place, ".lab", "signing-key = \"~/ana.pub\"", BELIEVE);
    let lab = |args: &[&str], path: &str| {
        let mut command = place.command();
        said(command.args(args).env("SSH_AUTH_SOCK", &socket).env("PATH", path))
    };
    let path = std::env::var("PATH").unwrap();
    lab(&["sign", "base"], "/nowhere").exits(3).complains("cannot run ssh-keygen");
    lab(&["sign", "base"], &path).succeeds().says("signed with SHA256:");
    lab(&["sign", "base"], &path).succeeds().says("is signed already");
    place.lab(["show", "base"]).succeeds().says("signed by ana@e.org (SHA256:");
    // Without the agent it is said what went wrong.
    place
        .lab(["run", "--", "sh", "-c", "echo x > x"])
        .succeeds()
        .complains("is recorded, but not signed");
}

/// `lab` with a program in the place of ssh, which runs the far side in another home.
fn lab_by_ssh(place: &Place, args: &[&str]) -> Said {
    let far = place.at("far");
    fs::create_dir_all(&far).unwrap();
    let script = format!(
        "#!/bin/sh\nfor word; do last=$word; done\ncd {} && exec sh -c \"$last\"\n",
        far.display()
    );
    place.write("ssh", script);
    fs::set_permissions(place.at("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let bin = Path::new(kit::lab()).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = place.command();
    said(command.env("LAB_SSH", place.at("ssh")).env("PATH", path).args(args))
}

#[test]
fn a_store_that_demands_it_takes_only_what_is_signed() {
    let Some(place) = place() else { return };
    key(&place, "eve", "");
    let short = place.id("base")[..12].to_owned();
    for (n, location) in ["far/store", "box:store"].into_iter().enumerate() {
        let name = format!("base-{n}");
        place.write("data.txt", format!("{n}\n"));
        place.lab(["run", "--name", &name, "--", "sh", "-c", MAKE]).succeeds();
        let short = place.id(&name)[..12].to_owned();
        let push = |what: &str| lab_by_ssh(&place, &["push", location, what]);
        let store = "far/store";
        let _ = fs::remove_dir_all(place.at(store));
        place.lab(["add", "data.txt", "--name", "data"]).succeeds();
        push("data").succeeds();
        // Where the rule lies: beside the store, with a file that says whose keys count.
        configure(&place, store, "", REQUIRE);
        push(&name).exits(if n == 0 { 3 } else { 4 }).complains("signers");
        // Who only reads is not concerned.
        lab_by_ssh(&place, &["pull", location, "data"]).succeeds();
        place.write("far/store/signers", signers(&place, &["ana"], ""));
        push(&name).exits(4).complains(&short).complains(&format!("lab sign {short}"));
        // By somebody whom nobody named; then by somebody else.
        place.lab(["sign", &name, "--key", "eve"]).succeeds();
        push(&name).exits(4).complains("no allowed signer has signed it");
        push("data").succeeds();
        place.lab_in(store, ["ls", "--json"]).succeeds();
        assert!(!place.at(format!("far/store/names/{name}")).exists());
        // The user's own list of signers has no say there.
        let mut own = place.command();
        place.write("mine", signers(&place, &["ana", "eve"], ""));
        own.args(["push", "far/store", &name]).env("LAB_ALLOWED_SIGNERS", "mine");
        said(&mut own).exits(4);
        place.lab(["sign", &name, "--key", "ana"]).succeeds();
        push(&name).succeeds().says("(new)");
        place.lab_in(store, ["check"]).succeeds();
    }
    // What the home of whoever pushes holds is not what the store's owner meant; nor is nothing.
    place.write("signers", signers(&place, &["ana"], ""));
    for trust in ["require = \"signed\"\nallowed-signers = \"~/signers\"", "require = \"signed\""] {
        configure(&place, "far/store", "", trust);
        lab_by_ssh(&place, &["push", "far/store", "base"]).exits(if trust.contains('~') {
            3
        } else {
            2
        });
        let told = lab_by_ssh(&place, &["push", "box:store", "base"]).exits(4);
        told.complains("what may come in cannot be told there");
    }
    // A first push makes a store, and nothing is demanded there yet.
    lab_by_ssh(&place, &["push", "far/second", "base"]).succeeds().complains("made a store");

    // On the near side: what is fetched has to be signed by those whom the near side believes.
    place.lab(["clone", "far/second", "--into", "copy"]).succeeds();
    place.lab_in("copy", ["name", "mine", "base"]).succeeds();
    fs::remove_dir_all(place.at("copy")).unwrap();
    fs::create_dir(place.at("copy")).unwrap();
    place.lab_in("copy", ["init"]).succeeds();
    configure(&place, "copy/.lab", "", REQUIRE);
    let pull = |args: &[&str]| {
        let args = [&["pull", "../far/second"], args].concat();
        place.lab_in("copy", args)
    };
    pull(&["base"]).exits(3).complains("signers");
    place.write("copy/signers", signers(&place, &["ana"], ""));
    pull(&["base"]).exits(4).complains(&short).complains("no allowed signer has signed it");
    pull(&["base", "--dry-run"]).exits(4);
    place.lab_in("copy", ["ls"]).succeeds();
    assert!(!place.at("copy/.lab/names/base").exists());
    place.lab(["sign", "base", "--key", "ana"]).succeeds();
    place.lab(["push", "far/second", "base"]).succeeds();
    pull(&["base"]).succeeds();
    place.lab_in("copy", ["show", "base"]).succeeds().says("trust     signed by ana@e.org");
}

#[test]
fn a_server_by_http_asks_at_each_move_what_its_owner_has_set() {
    let Some(place) = place() else { return };
    key(&place, "eve", "");
    let short = place.id("base")[..12].to_owned();
    place.lab(["push", "./store", "base"]).succeeds();
    let token = place.lab(["-q", "token", "add", "./store", "--write"]).succeeds().out;
    let mut serve = place.command();
    serve.args(["serve", "./store", "--listen", "127.0.0.1:0", "--log", "none"]);
    let mut server = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _server = Ends(server);
    let url = line.split_whitespace().next().unwrap().to_owned();
    let push = |name: &str| {
        let mut command = place.command();
        command.env("LAB_TOKEN_127_0_0_1", token.trim());
        said(command.args(["push", &url, name]))
    };
    let names = |names: &[&str]| {
        for name in names {
            place.lab(["name", name, "base"]).succeeds();
        }
    };
    names(&["one", "two", "three", "four"]);
    push("one").succeeds();
    // While it serves: nobody has to start it anew.
    place.write("store/signers", signers(&place, &["ana"], ""));
    configure(&place, "store", "", REQUIRE);
    let refused = push("two").exits(4).complains("no allowed signer has signed it");
    refused.complains(&short).complains(&format!("lab sign {short}"));
    place.lab(["sign", "base", "--key", "eve"]).succeeds();
    push("two").exits(4);
    assert!(!place.at("store/names/two").exists());
    place.write("store/signers", signers(&place, &["ana", "eve"], ""));
    push("two").succeeds();
    fs::remove_file(place.at("store/signers")).unwrap();
    push("three").exits(4).complains("what may come in cannot be told there");
    fs::remove_file(place.at("store/config.toml")).unwrap();
    push("three").succeeds();
}

#[test]
fn what_it_came_from_is_signed_with_deep() {
    if place().is_none() {
        return;
    }
    let place = Place::digits();
    key(&place, "ana", "");
    place.lab(["run", "digits.toml", "--name", "base", "--set", "train.epochs=1"]).succeeds();
    place.lab(["push", "./store", "digits"]).succeeds();
    place.write("store/signers", signers(&place, &["ana"], ""));
    configure(&place, "store", "", REQUIRE);
    place.lab(["sign", "base", "--key", "ana"]).succeeds();
    place.lab(["push", "./store", "base"]).exits(4).complains("--deep");
    let all = place.lab(["sign", "base", "--deep", "--key", "ana"]).succeeds();
    assert_eq!(all.out.lines().count(), 3, "{}", all.out);
    place.lab(["push", "./store", "base"]).succeeds();

    // What belongs to a name stays, and travels: also its signatures.
    let mut gc = place.command();
    said(gc.args(["gc", "--grace", "0s", "--history", "0s"])).succeeds();
    place.lab(["clone", "store", "--into", "copy"]).succeeds();
    place.write("copy/signers", signers(&place, &["ana"], ""));
    place.write("copy/.lab/config.toml", "[trust]\nallowed-signers = \"signers\"\n");
    let log = place.lab_in("copy", ["log"]).succeeds().out;
    assert_eq!(log.matches("signed by ana@e.org").count(), 3, "{log}");
    // A program's stages are signed one by one; those that were done before are not signed again.
    configure(&place, ".lab", KEY, "");
    let args = ["run", "digits.toml", "--json", "--set", "train.epochs=2"];
    let ran = place.lab(args).succeeds().json().to_string();
    assert_eq!(ran.matches("\"key\":\"SHA256:").count(), 2, "{ran}");
}

#[test]
fn nobody_writes_to_the_terminal_by_a_name_or_a_comment() {
    let Some(place) = place() else { return };
    let escape = "\x1b]0;owned\x07\x1b[2J";
    let public = String::from_utf8(place.read("ana.pub")).unwrap();
    let public = public.trim();
    place.write("signers", format!("ana@e.org {public} {escape}\n{escape} {public}\n"));
    fs::write(place.at("ana.pub"), format!("{public} {escape}\n")).unwrap();
    configure(&place, ".lab", "signing-key = \"ana\"", BELIEVE);
    let mut ran = place.command();
    ran.args(["run", "--name", "odd", "--", "sh", "-c", "echo x > x"]).env("LAB_USER", escape);
    said(&mut ran).succeeds();
    let mut attested = place.command();
    drop(said(attested.args(["verify", "odd"]).env("LAB_USER", escape)));
    for args in [&["log"][..], &["show", "odd"], &["log", "odd"], &["show", "odd", "--json"]] {
        let said = place.lab(args).succeeds();
        let seen = format!("{}{}", said.out, said.err);
        assert!(!seen.contains('\x1b') && !seen.contains('\x07'), "{args:?}: {seen:?}");
    }
    place.lab(["log"]).succeeds().says("signed by ana@e.org").complains("line 2 allows nobody");
}
