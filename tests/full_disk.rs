//! Promise 2 when the disk is full: a clear error, and nothing lost or half written.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::{Place, said};

/// Every step that writes fails once, as on a full disk.
#[test]
fn a_full_disk_at_every_step_loses_nothing() {
    let mut failed = 0;
    for step in 1.. {
        let place = Place::registry();
        place.write("first", "kept before");
        place.lab(["add", "first", "--name", "first"]).succeeds();
        place.write("second", "does not fit ".repeat(1000));
        let mut command = place.command();
        command.args(["add", "second", "--name", "second"]).env("LAB_FAIL_AT", step.to_string());
        let said = said(&mut command);
        place.lab(["check"]).succeeds().says("sound");
        assert_eq!(place.lab(["cat", "first"]).succeeds().out, "kept before");
        if said.code == 0 {
            assert_eq!(place.lab(["cat", "second"]).succeeds().out, "does not fit ".repeat(1000));
            break;
        }
        failed += 1;
        said.exits(5)
            .complains("the disk is full")
            .complains("nothing that was stored before is lost");
        assert!(step < 200, "the steps do not end");
    }
    assert!(failed >= 10, "only {failed} steps could fail: is the hook still there?");
}

/// The real thing, where a small file system can be mounted.
#[test]
fn a_file_system_that_is_really_full() {
    let place = Place::empty();
    let script = format!(
        "mount -t tmpfs -o size=2m none . && cd \"$PWD\" && '{lab}' init && echo before > a && '{lab}' add a --name a && \
         head -c 8000000 /dev/urandom > /dev/shm/lab-big-$$ && \
         '{lab}' add /dev/shm/lab-big-$$ --name big; code=$?; rm -f /dev/shm/lab-big-$$; \
         '{lab}' check && '{lab}' cat a && '{lab}' ls && find .lab/tmp -type f | wc -l; exit $code",
        lab = kit::lab()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]).current_dir(place.path());
    let said = said(&mut command);
    if said.err.contains("unshare:") || said.err.contains("mount:") {
        // No namespaces here; the hook in the test above has done the same in small.
        return;
    }
    let said = said.exits(5).complains("the disk is full").says("sound").says("before");
    assert!(!said.out.contains("big  "), "{}", said.out);
    assert!(said.out.trim_end().ends_with('0'), "temporary files were left: {}", said.out);
}

/// What a get has written when the disk is full is kept and named, and the same command goes on.
#[test]
fn a_get_that_filled_the_disk_goes_on() {
    let place = Place::empty();
    let script = format!(
        "mkdir work && mount -t tmpfs -o size=24m none work && '{lab}' init && \
         head -c 40000000 /dev/urandom > big && '{lab}' add big --name big || exit 9; \
         '{lab}' get big work/big; code=$?; \
         mount -o remount,size=64m work && '{lab}' get big work/big && cmp big work/big && \
         ls -A work && exit $code",
        lab = kit::lab()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]).current_dir(place.path());
    let said = said(&mut command);
    if said.err.contains("unshare:") || said.err.contains("mount:") {
        // No namespaces here; the store's own tests have done the same with a hook.
        return;
    }
    let said = said
        .exits(5)
        .complains("the disk is full")
        .complains("the same command goes on from what is in ")
        .complains("/work/.lab-part-");
    assert!(said.out.trim_end().ends_with("verified\nbig"), "{}", said.out);
}
