//! What goes in comes out, small changes are small, garbage goes, damage is seen, and a killed writer loses nothing.

use qualm_store::{Kind, Problem, Store, StoreError};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn contents_come_back_and_small_changes_are_small() {
    let store = Store::open(&folder("round")).expect("it opens");
    for size in [0, 1, 1000, 1 << 20] {
        let content = bytes(size as u64, size);
        let written = store.put(Kind::Value, &content, &[], None).expect("it is written");
        assert_eq!(store.get(written.hash).expect("it can be read"), Some(content.clone()));
        assert_eq!(store.put(Kind::Value, &content, &[], None).expect("it is there").new_bytes, 0);
    }
    let mut content = bytes(1 << 20, 1 << 20);
    content.splice(500_000..500_010, *b"something else");
    let changed = store.put(Kind::Value, &content, &[], None).expect("it is written");
    assert!(changed.new_bytes < (1 << 20) / 20, "{} new bytes", changed.new_bytes);
    assert!(store.verify().expect("it can be read").is_empty());
}

#[test]
fn garbage_is_what_nothing_leads_to() {
    let store = Store::open(&folder("garbage")).expect("it opens");
    let put =
        |text: &str, needs: &[_], name| store.put(Kind::State, text.as_bytes(), needs, name).expect("written").hash;
    let code = put("code", &[], None);
    let state = put("state", &[code], Some("job"));
    let pinned = put("pinned", &[], None);
    let loose = put("loose", &[], None);
    store.pin(pinned, true).expect("it is there");
    assert_eq!(store.collect().expect("it collects").objects, 1);
    assert_eq!(store.get(loose).expect("it can be read"), None);
    for hash in [code, state, pinned] {
        assert!(store.get(hash).expect("it can be read").is_some());
    }
    store.unname("job").expect("it can be written");
    store.pin(pinned, false).expect("it is there");
    assert_eq!(store.collect().expect("it collects").objects, 3);
    assert!(matches!(store.put(Kind::State, b"x", &[code], None), Err(StoreError::Missing(_))));
    assert!(matches!(store.name("x", code), Err(StoreError::Missing(_))));
    assert!(matches!(store.name("", code), Err(StoreError::Name(0))));
}

#[test]
fn a_second_program_is_told() {
    let folder = folder("twice");
    let _store = Store::open(&folder).expect("it opens");
    assert!(matches!(Store::open(&folder), Err(StoreError::InUse)));
}

#[test]
fn damage_is_seen() {
    let folder = folder("damage");
    let content = bytes(7, 100_000);
    let hash =
        Store::open(&folder).and_then(|store| store.put(Kind::Value, &content, &[], Some("x"))).expect("written").hash;
    let file = folder.join("store.redb");
    let mut raw = std::fs::read(&file).expect("it is a file");
    let at = raw.windows(64).position(|window| window == &content[50_000..50_064]).expect("the content is in there");
    raw[at + 10] ^= 1;
    std::fs::write(&file, raw).expect("it can be written");
    let store = Store::open(&folder).expect("it opens");
    assert!(matches!(store.get(hash), Err(StoreError::Damaged(_))));
    assert_eq!(store.verify().expect("it can be read"), [Problem::Content(hash)]);
}

/// Run by the next test, as a program of its own: writes for ever and says what is committed.
#[test]
#[ignore = "run by a_killed_writer_loses_nothing"]
fn writer() {
    let folder = PathBuf::from(std::env::var("QUALM_STORE_TEST").expect("the folder is given"));
    let store = Store::open(&folder).expect("it opens");
    for round in 0.. {
        let content = bytes(round, 20_000);
        let name = format!("round {}", round % 50);
        let hash = store.put(Kind::Value, &content, &[], Some(&name)).expect("written").hash;
        println!("committed {name}={hash}");
        if round % 20 == 19 {
            store.collect().expect("it collects");
        }
    }
}

/// `QUALM_KILLS` is how often; each time at another moment.
#[test]
fn a_killed_writer_loses_nothing() {
    let folder = folder("killed");
    let kills = std::env::var("QUALM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10);
    for kill in 0..kills {
        let program = std::env::current_exe().expect("this is a program");
        let mut command = Command::new(program);
        command.args(["writer", "--exact", "--ignored", "--nocapture"]).env("QUALM_STORE_TEST", &folder);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let output = child.stdout.take().expect("it has output");
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.filter_map(|line| line.split_once("committed ").map(|(_, rest)| rest.to_owned())).collect::<Vec<_>>()
        });
        std::thread::sleep(std::time::Duration::from_millis(60 + kill * 37 % 200));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let committed = reader.join().expect("it reads to the end");
        let store = Store::open(&folder).expect("a store that was killed opens");
        assert_eq!(store.verify().expect("it can be read"), [], "kill {kill}");
        let mut last = std::collections::HashMap::new();
        for line in &committed {
            let (name, hash) = line.split_once('=').expect("a name and a hash");
            last.insert(name.to_owned(), hash.to_owned());
        }
        // A name may lead to what was committed after the line that was last read.
        for (name, hash) in last {
            let found = store.named(&name).expect("it can be read").expect("a committed name is there");
            let content = store.get(found).expect("it can be read");
            assert!(content.is_some(), "{name} {hash}");
        }
    }
}
